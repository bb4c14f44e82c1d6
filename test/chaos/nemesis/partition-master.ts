import { aPair } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'partition-master',
  describe: 'a master is cut off from all other nodes while clients still reach it; a second master appears',
  rows: [3, 4],
  loses: 'one-node',
  async inject(world, rng, log) {
    const { master } = await aPair(world, rng);
    const heal = world.isolate([master]);
    log('cut off', { node: master.name });
    return async () => {
      heal();
      log('joined again', { node: master.name });
      await Promise.resolve();
    };
  },
};

import { aPair } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'partition-shard',
  describe: 'a master and its replica are cut off from everybody, clients too: nobody can take over',
  rows: [2, 15],
  loses: 'none',
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    const heal = world.isolate([master, replica], { clients: true });
    log('cut off', { nodes: [master.name, replica.name] });
    return async () => {
      heal();
      log('joined again', { nodes: [master.name, replica.name] });
      await Promise.resolve();
    };
  },
};

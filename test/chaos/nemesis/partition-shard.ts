import { aPair } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'partition-shard',
  describe: 'a master and its replicas are cut off from everybody, clients too: nobody can take over',
  rows: [2, 15],
  loses: 'none',
  async inject(world, rng, log) {
    const { master } = await aPair(world, rng);
    const nodes = [...(await world.replicasOf(master)), master];
    const heal = world.isolate(nodes, { clients: true });
    log('cut off', { nodes: nodes.map(({ name }) => name) });
    return async () => {
      heal();
      log('joined again', { nodes: nodes.map(({ name }) => name) });
      await Promise.resolve();
    };
  },
};

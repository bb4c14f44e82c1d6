import { aPair } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'kill-shard',
  describe: 'a master and its replicas die together: only their partitions stop; both come back on their data',
  rows: [15, 5],
  loses: 'cluster',
  async inject(world, rng, log) {
    const { master } = await aPair(world, rng);
    const nodes = [...(await world.replicasOf(master)), master];
    log('killed', { nodes: nodes.map(({ name }) => name) });
    for (const node of nodes) node.kill('SIGKILL');
    await Promise.all(nodes.map((node) => node.exited));
    return async () => {
      await Promise.all(nodes.map((node) => node.restart()));
      log('started again', { nodes: nodes.map(({ name }) => name) });
    };
  },
};

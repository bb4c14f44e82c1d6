import { aPair } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'kill-shard',
  describe: 'a master and its replica die together: only their partitions stop; both come back on their data',
  rows: [15, 5],
  loses: 'cluster',
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    log('killed', { nodes: [master.name, replica.name] });
    for (const node of [replica, master]) node.kill('SIGKILL');
    await Promise.all([master.exited, replica.exited]);
    return async () => {
      await Promise.all([master.restart(), replica.restart()]);
      log('started again', { nodes: [master.name, replica.name] });
    };
  },
};

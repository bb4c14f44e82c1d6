import { aPair, holdReplication, partitionsAt, pause } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'lag-takeover',
  describe: 'a replica that has stopped following is made the master by force: the tail of the log is rolled back',
  rows: [3, 4],
  loses: 'one-node',
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    const partitions = await partitionsAt(world, master);
    const heal = holdReplication(master, replica);
    log('cut', { node: replica.name, master: master.name, lacks: 'replicated', partitions });
    try {
      const behindMs = rng.int(200, 1_500);
      await pause(behindMs);
      log('is made the master', { node: replica.name, regains: 'replicated' });
      await world.command(replica, 'CLUSTER', 'FAILOVER', 'TAKEOVER');
      log('took over', { node: replica.name, from: master.name, behindMs });
    } catch (error) {
      heal();
      throw error;
    }
    return async () => {
      heal();
      await Promise.resolve();
    };
  },
};

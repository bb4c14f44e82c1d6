import { aPair, holdReplication, partitionsAt, pause } from './common.js';
import type { Fault } from './types.js';

/**
 * A replica that lacks the last answers takes over while no worker drains: Postgres has nothing of them either, so that what callers
 * were told rests on the replicas alone.
 */
export const fault: Fault = {
  name: 'undrained-takeover',
  describe: 'a replica that lacks the last answers takes over, and Postgres lacks them too',
  rows: [3],
  loses: 'one-node',
  dwellMs: [500, 1_000],
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    const partitions = await partitionsAt(world, master);
    for (const worker of world.workers) worker.kill('SIGSTOP');
    log('workers are frozen', { lacks: 'durable' });
    const heal = holdReplication(master, replica);
    log('cut', { node: replica.name, from: master.name, lacks: 'replicated', partitions });
    try {
      await pause(1_500);
      log('is made the master', { node: replica.name, regains: 'replicated' });
      await world.command(replica, 'CLUSTER', 'FAILOVER', 'TAKEOVER');
      log('took over', { node: replica.name, from: master.name });
      await pause(500);
    } finally {
      log('workers go on', { regains: 'durable' });
      heal();
      world.workers.forEach((worker) => worker.kill('SIGCONT'));
    }
    return () => Promise.resolve();
  },
};

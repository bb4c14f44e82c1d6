import pg from 'pg';
import type { AppPart, World } from '../world.js';
import { aPair, holdReplication, pause } from './common.js';
import type { Fault } from './types.js';

const FAILOVER_MS = 30_000;
/** Each way between the late worker and Postgres. */
const SLOW_MS = 200;
/** Lock of persist transactions; recovery holds it from before it announces an epoch until the partition is open. */
const DRAIN_LOCK = 1212961604;

/** Epochs as announced in Postgres, by partition. */
async function epochs(world: World): Promise<Map<number, number>> {
  const rows = await world.query('select partition, epoch from positions');
  return new Map(rows.map(({ partition, epoch }) => [Number(partition), Number(epoch)]));
}

/**
 * Resolves with the partitions that were opened under a new epoch, as soon as all that are being opened are: asked on one connection,
 * again and again, because the worker that opened them begins to drain within moments.
 */
async function opened(world: World, before: ReadonlyMap<number, number>): Promise<number[]> {
  const client = new pg.Client({ connectionString: world.directDatabaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const end = performance.now() + FAILOVER_MS;
    while (performance.now() < end) {
      const { rows } = await client.query<{ partition: number; epoch: string; locked: boolean }>(
        `SELECT partition, epoch, EXISTS (
           SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = ${DRAIN_LOCK} AND granted
         ) AS locked FROM positions`,
      );
      const found = rows.filter(({ partition, epoch }) => Number(epoch) > (before.get(partition) ?? 0));
      if (found.some(({ locked }) => !locked)) return found.map(({ partition }) => partition);
      await pause(1);
    }
    throw new Error(`no partition was opened under another epoch within ${FAILOVER_MS} ms`);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * A worker has read events of a master that its replica does not have, and the transaction with them is stuck on the way to Postgres.
 * The replica takes over, another worker announces the next epoch and is stopped before it drains; the late transaction arrives.
 * All that stands in its way is the epoch: the position is still the one it was read at, and its numbers go on.
 */
export const fault: Fault = {
  name: 'late-writer',
  describe:
    'a transaction with events of the old epoch arrives after the new one was announced, before anything else did',
  rows: [4, 17],
  loses: 'one-node',
  dwellMs: [500, 1_000],
  async inject(world, rng, log) {
    const [late, quick] = rng.shuffle(world.workers) as [AppPart, AppPart];
    const { master, replica } = await aPair(world, rng);
    const before = await epochs(world);
    const healing: (() => void)[] = [];
    const heal = (): void => healing.forEach((one) => one());
    try {
      // Only the one that will be late drains, so that it is in the middle of it when its cable is pulled.
      quick.kill('SIGSTOP');
      healing.push(() => quick.kill('SIGCONT'));
      await pause(1_000);
      healing.push(holdReplication(master, replica));
      // Transactions take so long that each has much in it; what the replica has is in Postgres by then.
      const hurry = late.database.damage({ kind: 'delay', ms: SLOW_MS });
      healing.push(hurry);
      await pause(8 * SLOW_MS);
      const release = late.database.damage({ kind: 'hold', direction: 'requests' });
      healing.push(release);
      await pause(300);
      await world.command(replica, 'CLUSTER', 'FAILOVER', 'TAKEOVER');
      log('late', { worker: late.name, node: replica.name, from: master.name });
      // The old master knows: nobody reads the tail from it any more.
      await pause(500);
      quick.kill('SIGCONT');
      const partitions = await opened(world, before);
      quick.kill('SIGSTOP');
      hurry();
      release();
      log('released', { worker: late.name, stopped: quick.name, partitions });
      await pause(1_000);
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

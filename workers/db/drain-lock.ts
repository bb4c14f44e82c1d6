import type pg from 'pg';
import { sqlState } from '../drain/errors.js';
import { numbers } from './arrays.js';

/** The lock of advance_positions (0031): while it is held no batch of the partition commits. */
const DRAIN_LOCK = 1212961604;
/** A persist transaction holds the lock for milliseconds. One that has it for that long is stuck, ms. */
export const DRAIN_STALL_MS = 30_000;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Ends the sessions that hold the lock and wait amid a statement for what their client does not send: rows of a COPY, or the rest of a
 * statement. No timeout of Postgres ends them: to them the statement runs (and statement_timeout does not count while data is awaited).
 * Between two statements there is one (pools.ts), and a session that is there is left alone. Whose transaction is older than the wait
 * for the lock is not merely being received.
 */
const END_STALLED = `
SELECT pg_terminate_backend(pid) FROM (
  SELECT DISTINCT a.pid
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::bigint::oid AND l.objsubid = 2
    AND l.objid = ANY(ARRAY(SELECT unnest($2::bigint[])::oid))
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND a.state = 'active' AND a.wait_event = 'ClientRead'
    AND a.xact_start < clock_timestamp() - $3::bigint * interval '1 millisecond'
) stalled`;

/**
 * Ends the sessions that keep the drain locks of these partitions though their client froze or was cut off amid a statement, at least
 * `timeoutMs` ago. Those of workers that are merely slow are left alone. (FAULTS 17)
 * @returns how many there were
 */
export async function endStalled(
  client: pg.ClientBase | pg.Pool,
  partitions: readonly number[],
  timeoutMs = DRAIN_STALL_MS,
): Promise<number> {
  const { rowCount } = await client.query(END_STALLED, [DRAIN_LOCK, numbers(partitions), timeoutMs]);
  return rowCount ?? 0;
}

/**
 * Takes the drain lock of a partition for the session, once a persist transaction that is under way is over. One whose client froze or
 * was cut off amid a statement is ended after `timeoutMs`: recovery must not wait for it to come back. (FAULTS 17)
 * Leaves lock_timeout set. Rejects with the error of Postgres (55P03) when the lock cannot be had.
 */
export async function takeDrainLock(
  client: pg.ClientBase,
  partition: number,
  timeoutMs = DRAIN_STALL_MS,
): Promise<void> {
  await client.query(`SET lock_timeout = ${timeoutMs}`);
  const take = () => client.query('SELECT pg_advisory_lock($1, $2)', [DRAIN_LOCK, partition]);
  try {
    await take();
  } catch (error) {
    if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
    if ((await endStalled(client, [partition], timeoutMs)) === 0) throw error;
    await take();
  }
}

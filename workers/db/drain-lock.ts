import type pg from 'pg';
import { sqlState } from '../drain/errors.js';

/** The lock of advance_positions (0031): while it is held no batch of the partition commits. */
const DRAIN_LOCK = 1212961604;
/** A persist transaction holds the lock for milliseconds. */
const TIMEOUT_MS = 30_000;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Ends the session that holds the lock and waits in a COPY for rows that its client does not send. No timeout of Postgres ends it: to
 * them its statement runs (and statement_timeout does not count while data is awaited). Whoever holds the lock when the wait is over
 * had it all the while, and its transaction is older still: that tells it from one that is merely being received.
 */
const END_STALLED_COPY = `
SELECT pg_terminate_backend(a.pid)
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::bigint::oid AND l.objid = $2::bigint::oid AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND a.state = 'active' AND a.wait_event = 'ClientRead' AND a.query LIKE 'COPY %'
  AND a.xact_start < clock_timestamp() - $3::bigint * interval '1 millisecond'`;

/**
 * Takes the drain lock of a partition for the session, once a persist transaction that is under way is over. One whose client froze or
 * was cut off amid its rows is ended after `timeoutMs`: recovery must not wait for it to come back. (FAULTS 17)
 * Leaves lock_timeout set. Rejects with the error of Postgres (55P03) when the lock cannot be had.
 */
export async function takeDrainLock(client: pg.ClientBase, partition: number, timeoutMs = TIMEOUT_MS): Promise<void> {
  await client.query(`SET lock_timeout = ${timeoutMs}`);
  const take = () => client.query('SELECT pg_advisory_lock($1, $2)', [DRAIN_LOCK, partition]);
  try {
    await take();
  } catch (error) {
    if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
    const { rowCount } = await client.query(END_STALLED_COPY, [DRAIN_LOCK, partition, timeoutMs]);
    if (rowCount === 0) throw error;
    await take();
  }
}

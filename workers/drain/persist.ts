import type pg from 'pg';
import type { LogEvent } from '../../engine/types.js';
import { checkBatch, isOfThisHistory, type Position } from './check.js';
import { StaleHistory } from './errors.js';
import { collapse, holdsToLoad, type RecordRow } from './collapse.js';
import { persistStatements } from './statements.js';

/** The position of a partition; the row is made when there is none. */
export async function readPosition(client: pg.Pool | pg.PoolClient, partition: number): Promise<Position> {
  const read = {
    name: 'position',
    text: 'SELECT epoch, opened_after, log_epoch, seq FROM positions WHERE partition = $1',
    values: [partition],
  };
  let { rows } = await client.query<{ epoch: number; opened_after: number; log_epoch: number; seq: number }>(read);
  if (rows.length === 0) {
    await client.query('INSERT INTO positions (partition) VALUES ($1) ON CONFLICT DO NOTHING', [partition]);
    ({ rows } = await client.query(read));
  }
  const row = rows[0]!;
  return { partition, fence: row.epoch, openedAfter: row.opened_after, epoch: row.log_epoch, seq: row.seq };
}

/**
 * Persists a batch of events that was read at `position`: ledger, projections and position in one transaction. (S7, FAULTS 16, 17)
 * Nothing is written unless position and fence are still what they were, so it is safe to try from anywhere at any time.
 * @returns the new position
 * Rejects with StaleHistory for events of a master that was cut off, with PartitionHalted for a log that cannot be persisted, with errors of Postgres otherwise (see errors.ts).
 */
export async function persist(
  client: pg.PoolClient,
  position: Position,
  events: readonly LogEvent[],
): Promise<Position> {
  if (!isOfThisHistory(position, events)) throw new StaleHistory(position.partition);
  checkBatch(position, events);
  const wanted = holdsToLoad(events);
  const loaded = wanted.length > 0 ? await loadHolds(client, position.partition, wanted) : undefined;
  const batch = collapse(events, loaded);
  await transaction(client, persistStatements(position, batch));
  const last = events[events.length - 1]!;
  return { ...position, fence: Math.max(position.fence, last.epoch), epoch: last.epoch, seq: last.seq };
}

/** All statements leave at once (pipelined connection); the first error is the cause, the others only follow from it. */
async function transaction(client: pg.PoolClient, statements: readonly pg.QueryConfig[]): Promise<void> {
  const answers = [client.query('BEGIN')];
  for (const statement of statements) answers.push(client.query(statement));
  answers.push(client.query('COMMIT'));
  const settled = await Promise.allSettled(answers);
  for (const answer of settled) if (answer.status === 'rejected') throw answer.reason;
}

const LOAD_HOLDS = {
  name: 'load_holds',
  text: `SELECT id, state, deadline, fingerprint, attempt, buyer, resolved_at AS "resolvedAt", held_at AS "startedAt", refs,
    quantities, returned, counted FROM holds WHERE partition = $1 AND id = ANY($2::text[])`,
};

/** Read outside the transaction: whoever changes them moves the position, and then the transaction does not happen. */
async function loadHolds(client: pg.PoolClient, partition: number, ids: string[]): Promise<Map<string, RecordRow>> {
  const { rows } = await client.query<RecordRow>({ ...LOAD_HOLDS, values: [partition, ids] });
  return new Map(rows.map((row) => [row.id, row]));
}

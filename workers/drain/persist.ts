import type pg from 'pg';
import type { LogEvent } from '../../engine/types.js';
import { numbers, texts } from '../db/arrays.js';
import { copyInto } from '../db/copy.js';
import { digestOf, linkHash, NO_LINK } from './chain.js';
import { checkBatch, type Position } from './check.js';
import { collapse, holdsToLoad } from './collapse.js';
import { sqlState, StaleHistory } from './errors.js';
import { areOfOneHistory, type Opening } from './openings.js';
import type { RecordRow } from './records.js';
import type { Statement } from './columns.js';
import { movementRows } from './rows.js';
import { persistStatements, type Share } from './statements.js';

interface PositionRow {
  partition: number;
  epoch: number;
  log_epoch: number;
  seq: number;
  opened_after: number;
  openings: [number, number, number | null][] | null;
  link: Buffer | null;
}

const READ_POSITIONS = `
SELECT p.partition, p.epoch, p.log_epoch, p.seq, p.opened_after, (
  SELECT json_agg(json_build_array(o.epoch, o.opened_after, o.parent)) FROM openings o
  WHERE o.partition = p.partition AND o.epoch > p.log_epoch
) AS openings, (SELECT c.hash FROM ledger_chain c WHERE c.partition = p.partition AND c.last_seq = p.seq) AS link
FROM positions p WHERE p.partition = ANY($1::integer[])`;

/** The positions of partitions, in any order; rows are made where there are none. */
export async function readPositions(
  client: pg.Pool | pg.PoolClient,
  partitions: readonly number[],
): Promise<Map<number, Position>> {
  const read = { name: 'positions', text: READ_POSITIONS, values: [numbers(partitions)] };
  let { rows } = await client.query<PositionRow>(read);
  if (rows.length < partitions.length) {
    const make = 'INSERT INTO positions (partition) SELECT * FROM unnest($1::integer[]) ON CONFLICT DO NOTHING';
    await client.query(make, [numbers(partitions)]);
    ({ rows } = await client.query<PositionRow>(read));
  }
  return new Map(
    rows.map((row) => {
      const { partition, seq } = row;
      const openings = openingsOf(row);
      return [
        partition,
        { partition, fence: row.epoch, openings, epoch: row.log_epoch, seq, link: row.link ?? NO_LINK },
      ];
    }),
  );
}

function openingsOf({ openings, epoch: fence, log_epoch, opened_after }: PositionRow): Opening[] {
  const known = (openings ?? []).map(([epoch, after, parent]): Opening => ({ epoch, after, parent }));
  // A worker from before openings were kept announced it: only the position tells where it begins.
  const isTold = fence <= log_epoch || known.some(({ epoch }) => epoch === fence);
  return isTold ? known : [...known, { epoch: fence, after: opened_after, parent: null }];
}

/** The position of one partition. */
export async function readPosition(client: pg.Pool | pg.PoolClient, partition: number): Promise<Position> {
  return (await readPositions(client, [partition])).get(partition)!;
}

/** Events of a partition that were read at its position. */
export interface Batch {
  readonly position: Position;
  readonly events: readonly LogEvent[];
}

/**
 * Throws StaleHistory for events of a master that was cut off, PartitionHalted for a log that cannot be persisted.
 * @returns the batch as the ledger has it, and the position that persisting it leads to
 */
function follow({ position, events }: Batch): Pick<Share, 'rows' | 'next'> {
  if (!areOfOneHistory(position, events)) throw new StaleHistory(position.partition);
  checkBatch(position, events);
  const { epoch, seq } = events[events.length - 1]!;
  const openings = epoch === position.epoch ? position.openings : position.openings.filter((one) => one.epoch > epoch);
  const rows = movementRows(events);
  const link = linkHash(position.link, digestOf(rows));
  return {
    rows,
    next: { partition: position.partition, fence: Math.max(position.fence, epoch), openings, epoch, seq, link },
  };
}

/** What of a batch cannot be persisted, whatever the others of its transaction. */
export class BatchRefused extends Error {
  override readonly name = 'BatchRefused';
  constructor(
    readonly partition: number,
    override readonly cause: Error,
  ) {
    super(cause.message);
  }
}

/**
 * Persists batches of several partitions: ledger, projections and positions in one transaction. (S7, FAULTS 16, 17)
 * Nothing is written unless every position and fence is still what it was, so it is safe to try from anywhere at any time.
 * @returns the new positions, in the order of the batches
 * Rejects with BatchRefused for one that cannot be persisted, with errors of Postgres otherwise (see errors.ts).
 */
export async function persistAll(client: pg.PoolClient, batches: readonly Batch[]): Promise<Position[]> {
  const loaded = await loadHolds(client, batches);
  const shares = batches.map((batch): Share => {
    try {
      const { position, events } = batch;
      return { position, ...follow(batch), batch: collapse(events, loaded.get(position.partition)) };
    } catch (error) {
      throw new BatchRefused(batch.position.partition, error as Error);
    }
  });
  try {
    await transaction(client, persistStatements(shares, false));
  } catch (error) {
    // A reservation that is known already: Redis had forgotten it, Postgres has not yet.
    if (sqlState(error) !== UNIQUE_VIOLATION || (error as { table?: string }).table !== 'holds') throw error;
    await transaction(client, persistStatements(shares, true));
  }
  return shares.map(({ next }) => next);
}

const UNIQUE_VIOLATION = '23505';

/** Persists a batch of one partition. Rejects with what is wrong with it itself. */
export async function persist(
  client: pg.PoolClient,
  position: Position,
  events: readonly LogEvent[],
): Promise<Position> {
  try {
    return (await persistAll(client, [{ position, events }]))[0]!;
  } catch (error) {
    throw error instanceof BatchRefused ? error.cause : error;
  }
}

/**
 * All statements leave at once (pipelined connection), in one write: Postgres is not woken up for each. The first error is the cause,
 * the others only follow from it.
 */
async function transaction(client: pg.PoolClient, statements: readonly Statement[]): Promise<void> {
  const { stream } = (client as unknown as { connection: pg.Connection }).connection;
  stream.cork();
  const answers: Promise<unknown>[] = [client.query('BEGIN')];
  for (const statement of statements) {
    answers.push('copy' in statement ? copyInto(client, statement.copy, statement.rows) : client.query(statement));
  }
  answers.push(client.query('COMMIT'));
  stream.uncork();
  const settled = await Promise.allSettled(answers);
  for (const answer of settled) if (answer.status === 'rejected') throw answer.reason;
}

const LOAD_HOLDS = {
  name: 'load_holds',
  text: `SELECT h.partition, h.id, h.state, h.deadline, h.fingerprint, h.attempt, h.buyer, h.resolved_at AS "resolvedAt",
      h.held_at AS "startedAt", h.refs, h.quantities, h.returned, h.counted
    FROM holds h, unnest($1::integer[], $2::text[]) AS n(partition, id) WHERE h.partition = n.partition AND h.id = n.id`,
};

/** Read outside the transaction: whoever changes them moves the position, and then the transaction does not happen. */
async function loadHolds(
  client: pg.PoolClient,
  batches: readonly Batch[],
): Promise<Map<number, Map<string, RecordRow>>> {
  const partitions: number[] = [];
  const ids: string[] = [];
  for (const { position, events } of batches) {
    for (const id of holdsToLoad(events)) {
      partitions.push(position.partition);
      ids.push(id);
    }
  }
  const loaded = new Map<number, Map<string, RecordRow>>();
  if (ids.length === 0) return loaded;
  const values = [numbers(partitions), texts(ids)];
  const { rows } = await client.query<RecordRow & { partition: number }>({ ...LOAD_HOLDS, values });
  for (const { partition, ...row } of rows) {
    const known = loaded.get(partition);
    if (known) known.set(row.id, row);
    else loaded.set(partition, new Map([[row.id, row]]));
  }
  return loaded;
}

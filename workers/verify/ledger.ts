import type pg from 'pg';
import type { HoldRecord } from '../../engine/types.js';
import { KIND } from '../kinds.js';
import { type RecordRow, toRecord } from '../recovery/source.js';
import { checkChain, type ChainHead } from './chain.js';
import type { Problems } from './problems.js';

/** An item as Postgres has it. */
export interface PersistedItem {
  readonly ref: string;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
  readonly updatedAt: number;
  readonly settings: Record<string, unknown>;
}

/** Everything Postgres has about a partition, as of one moment. */
export interface PersistedPartition {
  readonly epoch: number;
  readonly seq: number;
  readonly items: Map<string, PersistedItem>;
  readonly holds: Map<string, HoldRecord>;
  readonly claims: Map<string, HoldRecord>;
  readonly movements: number;
}

/** What Postgres is to be checked for against itself. */
export interface SelfCheck {
  readonly problems: Problems;
  /** Links of the ledger's chain that were right before, by partition: they must still be there. Brought up to date. */
  readonly heads: Map<number, ChainHead>;
  /** Also check again what those links stand for. */
  readonly wholeChain: boolean;
}

/**
 * Reads a partition from Postgres in one snapshot and, with `check`, checks that Postgres agrees with itself: the ledger gapless,
 * without doubles and as it was written, its sums those of the projections, held lines the reserved units. (S6, S7; checks 1, 2 and 6
 * of the history)
 */
export async function readPersisted(pool: pg.Pool, partition: number, check?: SelfCheck): Promise<PersistedPartition> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const persisted = await readRows(client, partition);
    if (check) {
      const { problems, heads, wholeChain } = check;
      const first = await checkLedger(client, partition, persisted, problems);
      const { head, broken } = await checkChain(
        client,
        partition,
        first,
        persisted.seq,
        heads.get(partition),
        wholeChain,
      );
      heads.set(partition, head);
      if (broken !== undefined) problems.add(partition, 'ledger chain', broken);
      await checkSums(client, partition, persisted, problems);
      checkHeld(partition, persisted, problems);
    }
    return persisted;
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
    client.release();
  }
}

async function readRows(client: pg.PoolClient, partition: number): Promise<PersistedPartition> {
  const position = await client.query<{ epoch: number; seq: number }>(
    'SELECT log_epoch AS epoch, seq FROM positions WHERE partition = $1',
    [partition],
  );
  const items = await client.query<PersistedItem>(
    `SELECT ref, available, reserved, sold, version, updated_at AS "updatedAt", settings FROM stock WHERE partition = $1`,
    [partition],
  );
  const record =
    'id AS key, state, deadline, fingerprint, attempt, buyer, resolved_at AS "resolvedAt", refs, quantities';
  const holds = await client.query<RecordRow>(
    `SELECT ${record}, held_at AS "startedAt", returned, counted FROM holds WHERE partition = $1`,
    [partition],
  );
  const claims = await client.query<RecordRow>(
    `SELECT ${record}, opened_at AS "startedAt" FROM claims WHERE partition = $1`,
    [partition],
  );
  return {
    ...(position.rows[0] ?? { epoch: 0, seq: 0 }),
    items: new Map(items.rows.map((row) => [row.ref, row])),
    holds: new Map(holds.rows.map((row) => [row.key, toRecord(row, 'holds')])),
    claims: new Map(claims.rows.map((row) => [row.key, toRecord(row, 'claims')])),
    movements: 0,
  };
}

/** @returns the number of the first movement, 0 where there is none */
async function checkLedger(
  client: pg.PoolClient,
  partition: number,
  persisted: PersistedPartition,
  problems: Problems,
): Promise<number> {
  const { rows } = await client.query<{
    count: number;
    different: number;
    first: number;
    last: number;
    back: number;
    negative: number;
  }>(
    `SELECT count(*)::int8 AS count, count(DISTINCT seq)::int8 AS different, coalesce(min(seq), 0) AS first, coalesce(max(seq), 0) AS last,
       count(*) FILTER (WHERE epoch < before)::int8 AS back,
       count(*) FILTER (WHERE available < 0 OR reserved < 0 OR sold < 0)::int8 AS negative
     FROM (SELECT seq, epoch, available, reserved, sold, lag(epoch) OVER (ORDER BY seq) AS before FROM movements WHERE partition = $1) m`,
    [partition],
  );
  const { count, different, first, last, back, negative } = rows[0]!;
  const say = (detail: string) => problems.add(partition, 'ledger', detail);
  (persisted as { movements: number }).movements = count;
  if (count !== different) say(`${count - different} movements stand in it twice`);
  if (count > 0 && first !== 1) say(`it begins with number ${first}, not 1`);
  if (different !== last - first + 1 && count > 0)
    say(`${last - first + 1 - different} numbers between ${first} and ${last} are missing`);
  if (last !== persisted.seq) say(`its last number is ${last}, the position says ${persisted.seq}`);
  if (back > 0) say(`the epoch goes back at ${back} places`);
  if (negative > 0) say(`${negative} movements leave a negative count`);
  return first;
}

/** The sums of an item's movements: what came in is where it is now, and it went there by movements. */
async function checkSums(
  client: pg.PoolClient,
  partition: number,
  persisted: PersistedPartition,
  problems: Problems,
): Promise<void> {
  const sum = (...kinds: (keyof typeof KIND)[]) =>
    `coalesce(sum(quantity) FILTER (WHERE kind IN (${kinds.map((kind) => KIND[kind]).join(', ')})), 0)::int8`;
  const { rows } = await client.query<{ ref: string; total: number; reserved: number; sold: number; version: number }>(
    `SELECT ref, ${sum('restocked', 'adjusted')} AS total,
       ${sum('held')} - ${sum('confirmed', 'released', 'expired', 'aborted')} AS reserved,
       ${sum('confirmed', 'deducted')} - ${sum('returned')} AS sold, max(version) AS version
     FROM movements WHERE partition = $1 AND version > 0 GROUP BY ref`,
    [partition],
  );
  const unseen = new Set(persisted.items.keys());
  for (const row of rows) {
    const item = persisted.items.get(row.ref);
    unseen.delete(row.ref);
    if (!item) {
      problems.add(partition, row.ref, 'stands in the ledger and not in stock');
      continue;
    }
    const say = (what: string, movements: number, stock: number) => {
      if (movements !== stock)
        problems.add(partition, row.ref, `${what}: movements make ${movements}, stock says ${stock}`);
    };
    say('total', row.total, item.available + item.reserved + item.sold);
    say('reserved', row.reserved, item.reserved);
    say('sold', row.sold, item.sold);
    say('version', row.version, item.version);
  }
  for (const ref of unseen) problems.add(partition, ref, 'stands in stock and not in the ledger');
}

function checkHeld(partition: number, persisted: PersistedPartition, problems: Problems): void {
  const held = heldUnits(persisted.holds.values());
  for (const item of persisted.items.values()) {
    const units = held.get(item.ref) ?? 0;
    if (units !== item.reserved)
      problems.add(partition, item.ref, `holds make ${units} reserved units, stock says ${item.reserved} (Postgres)`);
  }
}

/** Units held, by item. */
export function heldUnits(holds: Iterable<HoldRecord>): Map<string, number> {
  const units = new Map<string, number>();
  for (const hold of holds) {
    if (hold.state !== 'held') continue;
    for (const line of hold.lines) {
      const ref = `${line.location}:${line.sku}`;
      units.set(ref, (units.get(ref) ?? 0) + line.quantity);
    }
  }
  return units;
}

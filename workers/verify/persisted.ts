/** What Postgres has of a partition: digests of all of it, and the rows where they are not those of Redis. */
import type pg from 'pg';
import type { HoldRecord } from '../../engine/types.js';
import { type RecordRow, toRecord } from '../recovery/rows.js';
import { CLOCK_MS, KEPT_MS } from './compare.js';
import { bucketOf, COLUMNS, type Digests, emptyDigests, type Table } from './digest.js';

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

/** Rows that were read one by one, by ref or id. */
export interface PersistedRows {
  readonly items: Map<string, PersistedItem>;
  readonly holds: Map<string, HoldRecord>;
  readonly claims: Map<string, HoldRecord>;
}

export interface Position {
  readonly epoch: number;
  readonly seq: number;
}

/** Runs `work` in a transaction that sees one moment and changes nothing. */
export async function inSnapshot<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failed: Error | undefined;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return await work(client);
  } finally {
    await client.query('ROLLBACK').catch((error: Error) => (failed = error));
    client.release(failed);
  }
}

export async function readPosition(client: pg.ClientBase | pg.Pool, partition: number): Promise<Position> {
  const { rows } = await client.query<Position>('SELECT log_epoch AS epoch, seq FROM positions WHERE partition = $1', [
    partition,
  ]);
  return rows[0] ?? { epoch: 0, seq: 0 };
}

/** Whether Redis still has to know a record, at the time in $3 (ms); `mayBeForgotten` is the same. */
const KEPT = `(resolved_at = 0 OR state IN (1, 6) OR resolved_at + CASE WHEN state IN (2, 5) THEN ${KEPT_MS.sold} ELSE ${KEPT_MS.ended} END - ${CLOCK_MS} > $3::int8)`;

const TABLE: Readonly<Record<Table, { name: string; key: string; kept: string }>> = {
  items: { name: 'stock', key: 'ref', kept: '$3::int8 > 0' },
  holds: { name: 'holds', key: 'id', kept: KEPT },
  claims: { name: 'claims', key: 'id', kept: KEPT },
};

/** One row, however many records there are. The digests' halves apart: a bigint is not always a number here. */
function digestStatement(table: Table): string {
  const { name, key, kept } = TABLE[table];
  return `SELECT coalesce(sum(total), 0)::int8 AS total, coalesce(array_agg(bucket), '{}') AS buckets, array_agg(kept) AS counts,
    array_agg(digest >> 32) AS high, array_agg(digest & 4294967295) AS low
  FROM (SELECT hashtextextended(${key}, 0) & $2 AS bucket, count(*) AS total, count(*) FILTER (WHERE ${kept}) AS kept,
    coalesce(bit_xor(hash_record_extended(ROW(${COLUMNS[table]}), 0)) FILTER (WHERE ${kept}), 0) AS digest
    FROM ${name} WHERE partition = $1 GROUP BY 1) d`;
}

interface DigestRow {
  readonly total: number;
  readonly buckets: number[];
  readonly counts: number[] | null;
  readonly high: number[] | null;
  readonly low: number[] | null;
}

/** @param now ms: what Redis may have forgotten by then is left out, but counted in `total` */
export async function readDigests(
  client: pg.ClientBase,
  partition: number,
  table: Table,
  buckets: number,
  now: number,
): Promise<{ total: number; digests: Digests }> {
  const { rows } = await client.query<DigestRow>({
    name: `digest-${table}`,
    text: digestStatement(table),
    values: [partition, buckets - 1, now],
  });
  const found = rows[0]!;
  const digests = emptyDigests(buckets);
  for (const [n, bucket] of found.buckets.entries()) {
    digests.counts[bucket] = found.counts![n]!;
    digests.high[bucket] = found.high![n]!;
    digests.low[bucket] = found.low![n]!;
  }
  return { total: found.total, digests };
}

/** Records of a table: those of some buckets, and some by ref or id. */
export interface Wanted {
  /** How many buckets there are. */
  readonly of: number;
  readonly buckets: ReadonlySet<number>;
  readonly keys: ReadonlySet<string>;
}

export function isWanted(key: string, { of, buckets, keys }: Wanted): boolean {
  return keys.has(key) || (buckets.size > 0 && buckets.has(bucketOf(key, of)));
}

const RECORD = 'id AS key, state, deadline, fingerprint, attempt, buyer, resolved_at AS "resolvedAt", refs, quantities';
const SELECT: Readonly<Record<Table, string>> = {
  items: `SELECT ref, available, reserved, sold, version, updated_at AS "updatedAt", settings FROM stock`,
  holds: `SELECT ${RECORD}, held_at AS "startedAt", returned, counted FROM holds`,
  claims: `SELECT ${RECORD}, opened_at AS "startedAt" FROM claims`,
};

async function readTable<R extends pg.QueryResultRow>(
  client: pg.ClientBase,
  partition: number,
  table: Table,
  { of, buckets, keys }: Wanted,
): Promise<R[]> {
  const { key } = TABLE[table];
  const found: R[] = [];
  if (buckets.size > 0) {
    const condition = `WHERE partition = $1 AND hashtextextended(${key}, 0) & $2 = ANY($3::int8[])`;
    const { rows } = await client.query<R>(`${SELECT[table]} ${condition}`, [partition, of - 1, [...buckets]]);
    for (const row of rows) found.push(row);
  }
  if (keys.size > 0) {
    const condition = `WHERE partition = $1 AND ${key} = ANY($2::text[])`;
    const { rows } = await client.query<R>(`${SELECT[table]} ${condition}`, [partition, [...keys]]);
    for (const row of rows) found.push(row);
  }
  return found;
}

export async function readRows(
  client: pg.ClientBase,
  partition: number,
  wanted: Readonly<Record<Table, Wanted>>,
): Promise<PersistedRows> {
  const items = await readTable<PersistedItem>(client, partition, 'items', wanted.items);
  const holds = await readTable<RecordRow>(client, partition, 'holds', wanted.holds);
  const claims = await readTable<RecordRow>(client, partition, 'claims', wanted.claims);
  return {
    items: new Map(items.map((row) => [row.ref, row])),
    holds: new Map(holds.map((row) => [row.key, toRecord(row, 'holds')])),
    claims: new Map(claims.map((row) => [row.key, toRecord(row, 'claims')])),
  };
}

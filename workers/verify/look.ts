/** Looks at a partition in Redis and in Postgres: all of it by digests, and again at what differed. */
import { getHeapStatistics } from 'node:v8';
import type pg from 'pg';
import type { HoldRecord, PartitionDump, PartitionsApi, PartitionStatus } from '../../engine/types.js';
import { compare, type Comparison, type LiveRecords, mayBeForgotten } from './compare.js';
import { bucketsFor, differing, digestsOf, HASHES, type Table, TABLES } from './digest.js';
import { checkHeld, checkItself, type SelfCheck } from './ledger.js';
import {
  inSnapshot,
  isWanted,
  type PersistedRows,
  readDigests,
  readPosition,
  readRows,
  type Wanted,
} from './persisted.js';

/** Everything a partition holds in Redis. */
export interface LivePartition extends LiveRecords {
  /** Number of its last event before it was read; undefined where it is away. */
  readonly seq: number | undefined;
  /** Nothing changed while it was read. */
  readonly quiet: boolean;
}

/** What was found in Postgres: all of it counted, what is not as in Redis compared one by one. */
export interface Look extends Comparison {
  readonly counted: Record<Table | 'movements', number>;
  /** Rows that Postgres sent because digests differed, or Redis is about to forget them. */
  readonly rows: number;
  readonly seq: number;
}

export async function statusOf(partitions: PartitionsApi, partition: number): Promise<PartitionStatus | undefined> {
  return (await partitions.status([partition])).find((status) => status.partition === partition);
}

function emptyRecords(): LiveRecords {
  return { items: new Map(), holds: new Map(), claims: new Map() };
}

function take(records: LiveRecords, page: PartitionDump): void {
  for (const item of page.items ?? []) records.items.set(`${item.location}:${item.sku}`, item);
  for (const hold of page.holds ?? []) records.holds.set(hold.id, hold);
  for (const claim of page.claims ?? []) records.claims.set(claim.id, claim);
}

/** What a record takes here, bytes: a reservation of one item 440, in its map. */
const RECORD_BYTES = 512;
/** A third of what this process may have: where much differs, the rows of Postgres stand beside them. */
const MOST_RECORDS = Math.floor(getHeapStatistics().heap_size_limit / 3 / RECORD_BYTES);

/** A partition holds more than this process has memory for; without this it would end, and with a worker all that it does. */
export class TooLargeToVerify extends Error {
  override readonly name = 'TooLargeToVerify';
  constructor(partition: number, most: number) {
    super(
      `Partition ${partition} holds more than ${most} records, which is all this process has memory for. Give it more: NODE_OPTIONS=--max-old-space-size=<MB>, some 1,500 bytes a record.`,
    );
  }
}

/** @throws TooLargeToVerify when it holds more than `most` records. */
export async function readLive(
  partitions: PartitionsApi,
  partition: number,
  most = MOST_RECORDS,
): Promise<LivePartition> {
  const seq = (await statusOf(partitions, partition))?.seq;
  const records = emptyRecords();
  for await (const page of partitions.dump(partition)) {
    take(records, page);
    if (records.items.size + records.holds.size + records.claims.size > most)
      throw new TooLargeToVerify(partition, most);
  }
  const quiet = seq !== undefined && seq === (await statusOf(partitions, partition))?.seq;
  return { ...records, seq, quiet };
}

/**
 * Compares a partition with Postgres in one snapshot, in which Postgres is also compared with itself. Where the digests of a bucket
 * agree, its records do, whenever they were read.
 */
export async function lookAt(pool: pg.Pool, partition: number, live: LivePartition, check: SelfCheck): Promise<Look> {
  const now = Date.now();
  return inSnapshot(pool, async (client) => {
    const position = await readPosition(client, partition);
    const counted = { items: 0, holds: 0, claims: 0, movements: 0 };
    const wanted = {} as Record<Table, Wanted>;
    for (const table of TABLES) {
      const [buckets, ours] = [bucketsFor(live[table].size), digestsHere(live, table, now)];
      const { total, digests } = await readDigests(client, partition, table, buckets, now);
      counted[table] = total;
      const keys = table === 'items' ? new Set<string>() : forgettable(live[table], now);
      wanted[table] = { of: buckets, buckets: new Set(differing(ours, digests)), keys };
    }
    const rows = await readRows(client, partition, wanted);
    counted.movements = await checkItself(client, partition, position, check);
    const items = split(live.items, wanted.items);
    const holds = split(live.holds, wanted.holds);
    // What Redis has where digests agree, Postgres has: with the rows that is all of it.
    const allHolds = [...holds.same.values(), ...rows.holds.values()];
    checkHeld(partition, [...items.same, ...rows.items], allHolds, check.problems);
    const claims = split(live.claims, wanted.claims).differing;
    const found = compare({ items: items.differing, holds: holds.differing, claims }, rows, now);
    return { ...found, counted, rows: sizeOf(rows), seq: position.seq };
  });
}

function digestsHere(live: LiveRecords, table: Table, now: number) {
  if (table === 'items') return digestsOf(live.items, HASHES.items, () => true);
  return digestsOf(live[table], HASHES[table], (record) => !mayBeForgotten(record, now));
}

/** What Redis still has and Postgres' digests leave out. */
function forgettable(records: ReadonlyMap<string, HoldRecord>, now: number): Set<string> {
  const ids = new Set<string>();
  for (const [id, record] of records) if (mayBeForgotten(record, now)) ids.add(id);
  return ids;
}

/** Which of Redis' records are in Postgres word for word, and which have to be compared. */
function split<R>(records: Map<string, R>, wanted: Wanted): { same: Map<string, R>; differing: Map<string, R> } {
  const differing = new Map<string, R>();
  if (wanted.buckets.size === 0 && wanted.keys.size === 0) return { same: records, differing };
  const same = new Map<string, R>();
  for (const [key, record] of records) (isWanted(key, wanted) ? differing : same).set(key, record);
  return { same, differing };
}

function sizeOf({ items, holds, claims }: PersistedRows): number {
  return items.size + holds.size + claims.size;
}

/** What was found when some records were looked at again. */
export interface Again extends Comparison {
  readonly live: LiveRecords;
  readonly rows: number;
  /** Events that Postgres did not have yet of those that Redis had before its records were read. */
  readonly behind: number;
}

const POLL_MS = 20;

/**
 * Compares some records, as Redis has them now and as Postgres has them once it has followed so far. Selling goes on meanwhile, so that
 * it may have gone on farther.
 * @param until ms: for how long Postgres is waited for
 */
export async function lookAgain(
  { partitions, pool }: { partitions: PartitionsApi; pool: pg.Pool },
  partition: number,
  names: Readonly<Record<Table, ReadonlySet<string>>>,
  until: number,
): Promise<Again> {
  const seq = (await statusOf(partitions, partition))?.seq ?? 0;
  const live = emptyRecords();
  const [items, holds, claims] = TABLES.map((table) => [...names[table]]);
  take(live, await partitions.read(partition, { items, holds, claims }));
  let position = await readPosition(pool, partition);
  while (position.seq < seq && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    position = await readPosition(pool, partition);
  }
  const wanted = (table: Table): Wanted => ({ of: 1, buckets: new Set(), keys: names[table] });
  const rows = await inSnapshot(pool, (client) =>
    readRows(client, partition, { items: wanted('items'), holds: wanted('holds'), claims: wanted('claims') }),
  );
  const found = compare(live, rows, Date.now());
  return { ...found, live, rows: sizeOf(rows), behind: Math.max(0, seq - position.seq) };
}

/** Digests of what a partition holds, by bucket: where both sides make the same, nothing has to be read from Postgres. */
import type { HoldRecord, StockItem } from '../../engine/types.js';
import { STATE } from '../kinds.js';
import { lowHash, RowHash } from './hash.js';

export const TABLES = ['items', 'holds', 'claims'] as const;
export type Table = (typeof TABLES)[number];

/** Of one table: how many records a bucket has, and the exclusive or of their hashes (64 bits, in two signed integers). */
export interface Digests {
  readonly counts: Int32Array;
  readonly high: Int32Array;
  readonly low: Int32Array;
}

/** Records that share a bucket, about: what is read one by one when one of them differs. */
const RECORDS_A_BUCKET = 32;
const MOST_BUCKETS = 4_096;

/** Number of buckets for so many records: a power of two. */
export function bucketsFor(records: number): number {
  let buckets = 1;
  while (buckets < MOST_BUCKETS && buckets * RECORDS_A_BUCKET < records) buckets *= 2;
  return buckets;
}

/** The bucket of a ref or an id: `buckets` is a power of two. */
export function bucketOf(key: string, buckets: number): number {
  return lowHash(key) & (buckets - 1);
}

export function emptyDigests(buckets: number): Digests {
  return { counts: new Int32Array(buckets), high: new Int32Array(buckets), low: new Int32Array(buckets) };
}

/** @param kept whether a record counts (Redis may have forgotten it otherwise) */
export function digestsOf<R>(
  records: ReadonlyMap<string, R>,
  hash: (key: string, record: R) => RowHash,
  kept: (record: R) => boolean,
): Digests {
  const buckets = bucketsFor(records.size);
  const digests = emptyDigests(buckets);
  for (const [key, record] of records) {
    if (!kept(record)) continue;
    const bucket = bucketOf(key, buckets);
    const { high, low } = hash(key, record);
    digests.counts[bucket]!++;
    digests.high[bucket]! ^= high;
    digests.low[bucket]! ^= low;
  }
  return digests;
}

/** Buckets that are not the same on both sides. */
export function differing(a: Digests, b: Digests): number[] {
  const buckets: number[] = [];
  for (let n = 0; n < a.counts.length; n++)
    if (a.counts[n] !== b.counts[n] || a.high[n] !== b.high[n] || a.low[n] !== b.low[n]) buckets.push(n);
  return buckets;
}

const wide = (...columns: string[]) => columns.map((column) => `${column}, ${column} >> 32`).join(', ');
const HEAD = `id, state, buyer, ${wide('deadline', 'fingerprint', 'attempt', 'resolved_at')}, refs, quantities`;

/** The columns that are compared, as {@link HASHES} has them. What else a row has, Redis does not know or nobody decides by. */
export const COLUMNS: Readonly<Record<Table, string>> = {
  items: `ref, ${wide('available', 'reserved', 'sold', 'version', 'updated_at')}, settings::text`,
  holds: `${HEAD}, returned, counted`,
  claims: HEAD,
};

// One of each is enough: nothing is awaited between the first column and the last.
const row = new RowHash();
const list = new RowHash();

/** What `hash_record_extended` makes of {@link COLUMNS}. */
export const HASHES = { items: hashItem, holds: hashHold, claims: hashClaim } as const;

function hashItem(ref: string, item: StockItem): RowHash {
  row.row().text(ref).wide(item.available).wide(item.reserved).wide(item.sold);
  return row.wide(item.version).wide(item.updatedAt).text(settingsText(item.settings));
}

function hashClaim(id: string, record: HoldRecord): RowHash {
  const { state, buyerId, deadline, fingerprint, attempt, resolvedAt, lines } = record;
  row.row().text(id).integer(STATE[state]).text(buyerId);
  row.wide(deadline).wide(fingerprint).wide(attempt).wide(resolvedAt);
  list.array();
  for (const { location, sku } of lines) list.text(`${location}:${sku}`);
  row.nested(list);
  list.array();
  for (const { quantity } of lines) list.integer(quantity);
  return row.nested(list);
}

function hashHold(id: string, record: HoldRecord): RowHash {
  hashClaim(id, record);
  list.array();
  for (const { returned } of record.lines) list.integer(returned);
  row.nested(list);
  list.array();
  for (const { counted } of record.lines) list.integer(counted ? 1 : 0);
  return row.nested(list);
}

/** As Postgres writes a jsonb: shorter names first. */
function settingsText(settings: StockItem['settings']): string {
  const names = Object.keys(settings).sort((x, y) => x.length - y.length || (x < y ? -1 : 1));
  if (names.length === 0) return '{}';
  const fields = names.map((name) => `"${name}": ${JSON.stringify(settings[name as keyof typeof settings])}`);
  return `{${fields.join(', ')}}`;
}

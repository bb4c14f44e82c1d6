/** Digests of records are what Postgres makes of its rows, whatever stands in them. */
import t from 'tap';
import type { HoldLine, HoldRecord, StockItem } from '../../engine/types.js';
import { STATE } from '../../workers/kinds.js';
import { compare, KEPT_MS, mayBeForgotten } from '../../workers/verify/compare.js';
import { bucketsFor, COLUMNS, differing, digestsOf, HASHES, type Table } from '../../workers/verify/digest.js';
import { lowHash } from '../../workers/verify/hash.js';
import { readDigests } from '../../workers/verify/persisted.js';
import { randomOf } from './history.js';
import { openDatabase } from './database.js';

const database = await openDatabase();
t.teardown(() => database.close());
const { general } = database.pools;
const PARTITION = 2;
const random = randomOf(17);

const TEXTS = [
  '',
  'a',
  'ann',
  'abcdefghijk',
  'abcdefghijkl',
  'abcdefghijklm',
  'x'.repeat(128),
  'ö',
  '日本語テキスト',
  '😀 \t"\\{},|',
];
const NUMBERS = [
  0,
  1,
  -1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 40 + 7,
  -(2 ** 40) - 7,
  Number.MAX_SAFE_INTEGER,
];
const pick = <T>(from: readonly T[]): T => from[random(from.length)]!;

function recordOf(id: string, lines: number): HoldRecord {
  const line = (): HoldLine => ({
    location: pick(TEXTS.slice(1, 5)),
    sku: pick(TEXTS),
    quantity: 1 + random(1_000_000),
    returned: random(3),
    counted: random(2) === 1,
  });
  return {
    id,
    state: pick(Object.keys(STATE) as HoldRecord['state'][]),
    deadline: pick(NUMBERS),
    fingerprint: pick(NUMBERS),
    attempt: pick(NUMBERS),
    buyerId: pick(TEXTS),
    resolvedAt: pick(NUMBERS.filter((number) => number >= 0)),
    lines: Array.from({ length: lines }, line),
  };
}

const ids = Array.from({ length: 400 }, (_, n) => `${pick(TEXTS)}-${n}`);
const holds = new Map(ids.map((id, n) => [id, recordOf(id, n % 5)]));
const claims = new Map(ids.slice(0, 150).map((id, n) => [id, recordOf(id, 1 + (n % 7))]));
const SETTINGS: StockItem['settings'][] = [
  {},
  { holdSeconds: 60 },
  {
    buyerLimit: 4,
    opensAt: 1_800_000_000_000,
    closesAt: 1_900_000_000_000,
    lowStock: 0,
    holdSeconds: 900,
    room: 'a.b~c',
  },
  { room: 'x', closesAt: 1 },
];
const items = new Map(
  ids.slice(0, 90).map((sku): [string, StockItem] => {
    const count = () => Math.abs(pick(NUMBERS));
    const counts = { available: count(), reserved: count(), sold: count(), version: count(), updatedAt: count() };
    return [`hall:${sku}`, { location: 'hall', sku, ...counts, settings: pick(SETTINGS) }];
  }),
);

async function insert(table: 'holds' | 'claims', { lines, ...record }: HoldRecord): Promise<void> {
  const columns = [PARTITION, record.id, STATE[record.state], record.deadline, record.fingerprint, record.attempt];
  const rest = [record.buyerId, record.resolvedAt, lines.map((line) => `${line.location}:${line.sku}`)];
  const values = [...columns, ...rest, lines.map((line) => line.quantity)];
  const all = '(partition, id, state, deadline, fingerprint, attempt, buyer, resolved_at, refs, quantities, ';
  if (table === 'claims')
    await general.query(`INSERT INTO claims ${all}opened_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,5)`, values);
  else
    await general.query(
      `INSERT INTO holds ${all}returned, counted, held_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,5)`,
      [...values, lines.map((line) => line.returned), lines.map((line) => (line.counted ? 1 : 0))],
    );
}

t.before(async () => {
  for (const hold of holds.values()) await insert('holds', hold);
  for (const claim of claims.values()) await insert('claims', claim);
  for (const [ref, item] of items)
    await general.query(
      `INSERT INTO stock (partition, ref, location, sku, available, reserved, sold, version, updated_at, settings)
       VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
      [
        PARTITION,
        ref,
        item.location,
        item.sku,
        item.available,
        item.reserved,
        item.sold,
        item.version,
        item.updatedAt,
        item.settings,
      ],
    );
});

t.test('each record has the hash of its row, each name that of its key', async (t) => {
  const tables: [Table, string, string, ReadonlyMap<string, never>][] = [
    ['items', 'stock', 'ref', items as never],
    ['holds', 'holds', 'id', holds as never],
    ['claims', 'claims', 'id', claims as never],
  ];
  for (const [table, name, key, records] of tables) {
    const { rows } = await general.query<{ key: string; hash: string; low: number }>(
      `SELECT ${key} AS key, hash_record_extended(ROW(${COLUMNS[table]}), 0)::text AS hash,
         (hashtextextended(${key}, 0) & 4294967295)::int8 AS low FROM ${name}`,
    );
    t.equal(rows.length, records.size);
    const wrong = rows.filter((row) => {
      const { high, low } = HASHES[table](row.key, records.get(row.key)!);
      const hash = BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low >>> 0));
      return String(hash) !== row.hash || lowHash(row.key) >>> 0 !== row.low;
    });
    t.strictSame(wrong, [], table);
  }
});

t.test('digests leave out the same records that may be forgotten, and agree', async (t) => {
  const now = 2 ** 40 + 7 + KEPT_MS.sold;
  const client = await general.connect();
  try {
    for (const table of ['holds', 'claims'] as const) {
      const records = table === 'holds' ? holds : claims;
      const kept = (record: HoldRecord) => !mayBeForgotten(record, now);
      t.ok([...records.values()].some(kept));
      t.notOk([...records.values()].every(kept));
      const ours = digestsOf(records, HASHES[table], kept);
      t.equal(ours.counts.length, bucketsFor(records.size));
      t.ok(ours.counts.length > 2);
      const { total, digests } = await readDigests(client, PARTITION, table, ours.counts.length, now);
      t.equal(total, records.size);
      t.strictSame(digests, ours);
    }
    const ours = digestsOf(items, HASHES.items, () => true);
    t.strictSame((await readDigests(client, PARTITION, 'items', ours.counts.length, now)).digests, ours);
    const none = await readDigests(client, PARTITION + 1, 'holds', 1, now);
    t.strictSame(none, { total: 0, digests: digestsOf(new Map(), HASHES.holds, () => true) });
  } finally {
    client.release();
  }
});

t.test('whatever is compared one by one is in the digest', async (t) => {
  const record = recordOf('one', 2);
  const now = 0;
  const digest = (one: HoldRecord) => digestsOf(new Map([[one.id, one]]), HASHES.holds, () => true);
  const rowsOf = (one: HoldRecord) => ({ items: new Map(), holds: new Map([[one.id, one]]), claims: new Map() });
  const line = { ...record.lines[0]!, location: 'l', sku: 's' };
  const others: Partial<HoldRecord>[] = [
    { state: record.state === 'held' ? 'confirmed' : 'held' },
    ...(['deadline', 'fingerprint', 'attempt', 'resolvedAt'] as const).flatMap((field) =>
      [1, 2 ** 32, 2 ** 33 + 2].map((more) => ({ [field]: (record[field] % 2 ** 51) + more })),
    ),
    { buyerId: `${record.buyerId}!` },
    { lines: [] },
    { lines: [...record.lines, line] },
    { lines: [...record.lines].reverse() },
    ...[
      { location: 'm' },
      { sku: 't' },
      { quantity: line.quantity + 1 },
      { returned: 9 },
      { counted: !line.counted },
    ].map((change) => ({ lines: [{ ...line, ...change }] })),
  ];
  for (const change of others) {
    const base = { ...record, ...('lines' in change && change.lines!.length === 1 ? { lines: [line] } : {}) };
    const changed = { ...base, ...change };
    t.equal(compare(rowsOf(base), rowsOf(changed), now).others.size, 1, `${JSON.stringify(change)} is a difference`);
    t.strictSame(differing(digest(base), digest(changed)), [0], JSON.stringify(change));
  }
});

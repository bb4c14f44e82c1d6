import t from 'tap';
import type pg from 'pg';
import type { LogEvent } from '../../engine/types.js';
import { NO_LINK } from '../../workers/drain/chain.js';
import { PartitionHalted, sqlState } from '../../workers/drain/errors.js';
import { pruneProjections } from '../../workers/db/prune.js';
import { persist, readPosition } from '../../workers/drain/persist.js';
import { KIND } from '../../workers/kinds.js';
import { PostgresSource } from '../../workers/recovery/source.js';
import { openDatabase, type TestDatabase } from './database.js';
import { cut, History, randomOf } from './history.js';

let database: TestDatabase;
let client: pg.PoolClient;

t.before(async () => {
  database = await openDatabase(16);
  client = await database.pools.drain.connect();
});

t.teardown(async () => {
  client.release();
  await database.close();
});

async function persistInBatches(history: History, batches: LogEvent[][]): Promise<void> {
  let position = await readPosition(client, history.partition);
  for (const batch of batches) position = await persist(client, position, batch);
}

async function projections(partition: number) {
  const rows = async (text: string) => (await database.pools.general.query(text, [partition])).rows;
  return {
    stock: await rows(
      'SELECT ref, available, reserved, sold, version, updated_at, settings FROM stock WHERE partition = $1 ORDER BY ref',
    ),
    holds: await rows('SELECT * FROM holds WHERE partition = $1 ORDER BY id'),
    claims: await rows('SELECT * FROM claims WHERE partition = $1 ORDER BY id'),
    ids: await rows('SELECT * FROM id_records WHERE partition = $1 ORDER BY id, ref'),
  };
}

for (const [partition, seed, most] of [
  [0, 11, 1],
  [1, 22, 7],
  [2, 33, 400],
] as const) {
  t.test(`a history in batches of up to ${most} events leads to the state it describes`, async (t) => {
    const random = randomOf(seed);
    const history = new History(partition, random);
    for (let n = 0; n < 1_500; n++) history.step();
    await persistInBatches(history, cut(history.events, random, most));

    const { stock, holds } = await projections(partition);
    const byRef = [...history.items].sort((a, b) => (a.ref < b.ref ? -1 : 1));
    t.same(
      stock.map(({ settings: _settings, ...row }) => row),
      byRef.map(({ ref, available, reserved, sold, version, updatedAt }) => ({
        ref,
        available,
        reserved,
        sold,
        version,
        updated_at: updatedAt,
      })),
    );
    t.same(
      stock.map((row) => row.settings),
      byRef.map((item) => (item.limited ? { buyerLimit: 500 } : {})),
    );
    const expected = [...history.holds.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    t.same(
      holds.map((row) => ({ ...row, held_at: 0 })),
      expected.map((hold) => ({
        partition,
        id: hold.id,
        state: hold.state,
        deadline: hold.deadline,
        fingerprint: hold.fingerprint,
        attempt: hold.attempt,
        buyer: hold.buyer,
        resolved_at: hold.resolvedAt,
        held_at: 0,
        refs: hold.lines.map((line) => line.item.ref),
        quantities: hold.lines.map((line) => line.quantity),
        returned: hold.lines.map((line) => line.returned),
        counted: hold.lines.map((line) => (line.counted ? 1 : 0)),
      })),
    );
    const { rows } = await database.pools.general.query('SELECT * FROM movements WHERE partition = $1 ORDER BY seq', [
      partition,
    ]);
    t.same(rows, history.events, 'the ledger is the log, event by event');
  });
}

t.test('the projections equal a replay of the ledger', async (t) => {
  const from = 2;
  const to = 3;
  const { rows } = await database.pools.general.query('SELECT * FROM movements WHERE partition = $1 ORDER BY seq', [
    from,
  ]);
  const events = rows.map((row) => ({ ...row, partition: to, ref: row.ref.replace('sku-2', 'sku-3') })) as LogEvent[];
  await persist(client, await readPosition(client, to), events);
  const text = (value: unknown) =>
    JSON.stringify(value).replaceAll('sku-2', 'sku-3').replaceAll('"partition":2', '"partition":3');
  t.equal(text(await projections(to)), text(await projections(from)));
});

/** Units that count towards limits, as recovery writes them back. */
async function unitsIn(partition: number): Promise<Record<string, number>> {
  const units: Record<string, number> = {};
  for await (const page of new PostgresSource(database.pools.general).changedSince(partition, 0))
    for (const buyer of page.buyers ?? []) units[buyer.buyerId] = buyer.units;
  return units;
}

t.test('what a buyer took of a limited item stays theirs, also when somebody else uses the id later', async (t) => {
  const partition = 9;
  const history = new History(partition, randomOf(1));
  const item = history.items.find((one) => one.limited)!;
  const first = history.events[history.events.length - 1]!;
  let { seq, at } = first;
  const event = (kind: number, id: string, actor: string, quantity: number, version = 1): LogEvent => ({
    ...first,
    ...{ seq: ++seq, at: (at += 40 * 86_400_000), kind, ref: item.ref, id, actor, quantity, version },
    detail: kind === KIND.deducted || kind === KIND.held ? 'limited' : '',
  });
  const later = [
    event(KIND.deducted, 'order-1', 'ada', 2),
    event(KIND.deducted, 'order-1', 'bo', 3),
    event(KIND.deducted, 'order-1', 'bo', 4),
    event(KIND.held, 'hold-1', 'ada', 10),
    event(KIND.confirmed, 'hold-1', 'ada', 10),
    event(KIND.returned, 'hold-1', 'ada', 1),
    event(KIND.held, 'hold-1', 'cy', 20),
    event(KIND.confirmed, 'hold-1', 'cy', 20),
    event(KIND.held, 'hold-1', 'di', 30),
    event(KIND.released, 'hold-1', 'di', 30),
    event(KIND.held, 'hold-1', 'ed', 40),
  ];
  for (const batch of [history.events, ...later.map((one) => [one])])
    await persist(client, await readPosition(client, partition), batch);
  const expected = { ada: 11, bo: 7, cy: 20, ed: 40 };
  t.same(await unitsIn(partition), expected, 'one event at a time');
  await pruneProjections(database.pools.general, -400 * 86_400_000);
  t.same(await unitsIn(partition), expected, 'and when their records are forgotten');
});

t.test('a batch read at another position or fence changes nothing', async (t) => {
  const history = new History(4, randomOf(1));
  const before = await readPosition(client, 4);
  await persist(client, before, history.events);
  const state = await projections(4);
  const again = await persist(client, before, history.events).catch(sqlState);
  t.equal(again, 'HF002', 'the same batch a second time');
  await database.pools.general.query('UPDATE positions SET epoch = 9 WHERE partition = 4');
  const position = { partition: 4, fence: 1, openings: [], epoch: 1, seq: history.seq, link: NO_LINK };
  const first = history.events.length;
  history.hold();
  const fenced = await persist(client, position, history.events.slice(first)).catch(sqlState);
  t.equal(fenced, 'HF002', 'after recovery raised the fence');
  t.same(await projections(4), state);
  t.match(await readPosition(client, 4), { fence: 9, epoch: 1, seq: first });
});

t.test('a partition that is being drained elsewhere is left alone', async (t) => {
  const other = await database.pools.general.connect();
  await other.query('SELECT pg_advisory_lock(1212961604, 5)');
  const history = new History(5, randomOf(1));
  const position = await readPosition(client, 5);
  t.equal(await persist(client, position, history.events).catch(sqlState), 'HF001');
  await other.query('SELECT pg_advisory_unlock(1212961604, 5)');
  other.release();
  t.match(await persist(client, position, history.events), { seq: history.seq });
});

t.test('what cannot be persisted halts, and nothing of its batch is kept', async (t) => {
  const cases: [string, (events: LogEvent[]) => LogEvent[]][] = [
    ['a gap', (events) => events.filter((_, n) => n !== 3)],
    ['a repeated number', (events) => [...events.slice(0, 3), { ...events[2]! }]],
    ['a first number that is not the next', (events) => events.slice(1)],
    ['an unknown kind', (events) => [...events.slice(0, 3), { ...events[3]!, kind: 99 }]],
    ['a fraction', (events) => [...events.slice(0, 3), { ...events[3]!, quantity: 0.5 }]],
    ['settings that are no JSON', (events) => [{ ...events[0]!, detail: '{' }]],
    ['an older epoch', (events) => [events[0]!, { ...events[1]!, epoch: 0 }]],
  ];
  const position = await readPosition(client, 6);
  for (const [what, spoil] of cases) {
    const history = new History(6, randomOf(1));
    const refusal = await persist(client, position, spoil(history.events)).catch((error: unknown) => error);
    t.ok(refusal instanceof PartitionHalted, what);
  }
  const history = new History(6, randomOf(1));
  const unheld = { ...history.events[1]!, seq: 1, kind: 7, id: 'never-held' };
  t.equal(await persist(client, position, [unheld]).catch(sqlState), 'HF003', 'a confirm of what was never held');
  const negative = { ...history.events[1]!, seq: 1, available: -1 };
  t.equal(await persist(client, position, [negative]).catch(sqlState), '23514', 'a negative count');
  t.same(await projections(6), { stock: [], holds: [], claims: [], ids: [] });
  t.match(await readPosition(client, 6), { seq: 0 });
});

t.test('texts survive whatever is in them', async (t) => {
  const odd = [
    '',
    'NULL',
    '"',
    '\\',
    '{}',
    ',',
    'a"b\\c',
    '\u0000',
    'ünï 🎫',
    '\n',
    "'; DROP TABLE stock;--",
    '\ud800',
  ];
  const base = new History(7, randomOf(1), 1).events[1]!;
  const events = odd.map((text, n) => ({
    ...base,
    seq: n + 1,
    version: n + 1,
    id: `NULL${n}`,
    actor: text,
    detail: text,
  }));
  await persist(client, await readPosition(client, 7), events);
  const { rows } = await database.pools.general.query(
    'SELECT actor, detail FROM movements WHERE partition = 7 ORDER BY seq',
  );
  const kept = odd.map((text) => text.replace('\u0000', '\ufffd').replace('\ud800', '\ufffd'));
  t.same(
    rows,
    kept.map((text) => ({ actor: text, detail: text })),
  );
});

t.test('the ledger cannot be changed', async (t) => {
  for (const text of ['UPDATE movements SET quantity = 0', 'DELETE FROM movements', 'TRUNCATE movements']) {
    await t.rejects(database.pools.general.query(text), { code: 'HF010' }, text);
  }
});

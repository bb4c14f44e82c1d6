/** What a position accepts after failovers, what of records that were forgotten, and several partitions in one transaction. */
import t from 'tap';
import type pg from 'pg';
import { pruneProjections } from '../../workers/db/prune.js';
import { PartitionHalted, partitionsNamed, sqlState, StaleHistory } from '../../workers/drain/errors.js';
import { areOfOneHistory } from '../../workers/drain/openings.js';
import { type Batch, BatchRefused, persist, persistAll, readPosition } from '../../workers/drain/persist.js';
import { KIND } from '../../workers/kinds.js';
import { PostgresSource } from '../../workers/recovery/source.js';
import { openDatabase, type TestDatabase } from './database.js';
import { History, randomOf } from './history.js';

let database: TestDatabase;
let client: pg.PoolClient;

t.before(async () => {
  database = await openDatabase(17);
  client = await database.pools.drain.connect();
});

t.teardown(async () => {
  client.release();
  await database.close();
});

async function projections(partition: number) {
  const rows = async (text: string) => (await database.pools.general.query(text, [partition])).rows;
  return {
    stock: await rows('SELECT * FROM stock WHERE partition = $1 ORDER BY ref'),
    holds: await rows('SELECT * FROM holds WHERE partition = $1 ORDER BY id'),
  };
}

/** As recovery announces it. */
async function announce(partition: number, epoch: number, seq: number, parent: number): Promise<void> {
  await new PostgresSource(database.pools.general).raiseEpoch(partition, epoch, seq, parent);
}

t.test('events of an older epoch are accepted up to where its successor begins', async (t) => {
  const history = new History(8, randomOf(1));
  const old = history.seq;
  history.openEpoch();
  history.openEpoch();
  history.hold();
  await announce(8, 2, old, 1);
  await announce(8, 3, old + 1, 2);
  const position = await readPosition(client, 8);
  const cutOff = [...history.events.slice(0, old + 1), { ...history.events[old + 1]!, epoch: 2 }];
  const refusal = await persist(client, position, cutOff).catch((error: unknown) => error);
  t.ok(refusal instanceof StaleHistory, 'what a cut-off master wrote beyond it is refused');
  t.match(await readPosition(client, 8), { seq: 0 });
  t.match(await persist(client, position, history.events), { fence: 3, epoch: 3, seq: history.seq });
});

t.test('two failovers within the lag: what the first one cut off stays out', async (t) => {
  const history = new History(16, randomOf(1));
  const first = history.seq;
  // The old master goes on for one more event after the replica that was promoted had stopped hearing of it.
  const base = history.events[first - 1]!;
  const cutOff = [...history.events, { ...base, seq: first + 1, version: base.version + 1 }];
  await announce(16, 2, first, 1);
  history.openEpoch();
  history.restock(history.items[0]!, 5);
  const second = history.seq;
  await announce(16, 3, second, 2);
  history.openEpoch();
  const position = await readPosition(client, 16);
  const refusal = await persist(client, position, cutOff).catch((error: unknown) => error);
  t.ok(refusal instanceof StaleHistory, 'its number is below where the newest epoch begins, and it never happened');
  t.match(await persist(client, position, history.events), { fence: 3, epoch: 3, seq: history.seq });
});

t.test('an epoch that was announced and never opened cuts nothing off', async (t) => {
  const history = new History(10, randomOf(1));
  const all = history.seq;
  // Recovery looked at a replica that was behind, announced, and that replica died; the next one has everything.
  await announce(10, 2, all - 3, 1);
  await announce(10, 3, all, 1);
  history.epoch = 2;
  history.openEpoch();
  const position = await readPosition(client, 10);
  const never = [...history.events.slice(0, all), { ...history.events[all]!, epoch: 2 }];
  const refusal = await persist(client, position, never).catch((error: unknown) => error);
  t.ok(refusal instanceof StaleHistory, 'and nothing is of that epoch');
  t.match(await persist(client, position, history.events), { fence: 3, epoch: 3, seq: all + 1, openings: [] });
});

/** The events as if each had been written under the first of the epochs that lasts until its number. */
function underEpochs(history: History, epochs: readonly (readonly [epoch: number, until: number])[]) {
  return history.events.map((event) => ({ ...event, epoch: epochs.find(([, until]) => event.seq <= until)![0] }));
}

t.test('epochs that opened while there was no worker are believed up to the first opening known', async (t) => {
  const history = new History(9, randomOf(1));
  while (history.seq < 12) history.restock(history.items[0]!, 1);
  await announce(9, 3, 10, 2);
  await announce(9, 4, 11, 3);
  const position = await readPosition(client, 9);
  for (const [what, cutOff] of Object.entries({
    'an epoch without a row that goes on beyond its successor': [
      [1, 5],
      [2, 99],
    ],
    'one before it that does': [[1, 99]],
  } as const)) {
    const events = underEpochs(history, cutOff);
    t.ok((await persist(client, position, events).catch((error: unknown) => error)) instanceof StaleHistory, what);
  }
  t.match(await readPosition(client, 9), { seq: 0 });
  const events = underEpochs(history, [
    [1, 5],
    [2, 10],
    [3, 11],
    [4, 99],
  ]);
  t.match(await persist(client, position, events), { fence: 4, epoch: 4, seq: history.seq });
});

t.test('an announced epoch that nothing followed stays out where older ones are not known', (t) => {
  const openings = [
    { epoch: 4, after: 60, parent: 2 },
    { epoch: 3, after: 55, parent: 2 },
  ];
  const event = new History(1, randomOf(1)).events[0]!;
  const of = (epoch: number, seq: number) =>
    areOfOneHistory({ fence: 4, epoch: 0, openings }, [{ ...event, epoch, seq }]);
  t.ok(of(2, 60));
  t.notOk(of(2, 61));
  t.notOk(of(3, 56), 'its master was cut off, though the number lies before the newest epoch');
  t.ok(of(1, 50));
  t.end();
});

t.test('an epoch announced by a worker that noted it in the position alone', async (t) => {
  const history = new History(7, randomOf(1));
  const old = history.seq;
  history.restock(history.items[0]!, 1);
  await database.pools.general.query('UPDATE positions SET epoch = 9, opened_after = $1 WHERE partition = 7', [old]);
  const position = await readPosition(client, 7);
  const refusal = await persist(client, position, underEpochs(history, [[5, 99]])).catch((error: unknown) => error);
  t.ok(refusal instanceof StaleHistory, 'what lies beyond where it begins is refused');
  const events = underEpochs(history, [
    [5, old],
    [9, 99],
  ]);
  t.match(await persist(client, position, events.slice(0, old)), { fence: 9, epoch: 5, seq: old });
  t.match(await persist(client, await readPosition(client, 7), events.slice(old)), { epoch: 9, openings: [] });
});

async function boughtIn(partition: number) {
  return (await database.pools.general.query('SELECT units FROM bought_units WHERE partition = $1', [partition])).rows;
}

t.test('what comes back after Redis should have forgotten the sale is persisted', async (t) => {
  const history = new History(11, randomOf(1), 1);
  const hold = history.hold(1, 2);
  history.resolve(hold, KIND.confirmed, 2);
  const next = await persist(client, await readPosition(client, 11), history.events);
  await pruneProjections(database.pools.general, -400 * 86_400_000);
  t.same((await projections(11)).holds, [], 'removed here; the sweep of Redis has not come by');
  t.same(await boughtIn(11), [{ units: 2 }]);
  const item = history.items[0]!;
  const returned = {
    ...history.events.at(-1)!,
    kind: KIND.returned,
    seq: history.seq + 1,
    version: item.version + 1,
    available: item.available + 2,
    sold: item.sold - 2,
  };
  const soon = { ...returned, at: returned.deadline + 86_400_000 };
  const refusal = await persist(client, next, [soon]).catch((error: unknown) => error);
  t.ok(refusal instanceof PartitionHalted, 'within the return window a sale must be known');
  const late = { ...returned, at: returned.deadline + 33 * 86_400_000 };
  const claim = {
    ...late,
    kind: KIND.claim_returned,
    seq: late.seq + 1,
    ref: '',
    quantity: 0,
    version: 0,
    id: 'claim-gone',
  };
  t.match(await persist(client, next, [late, claim]), { seq: claim.seq });
  const { stock, holds } = await projections(11);
  t.match(stock, [{ available: late.available, sold: late.sold, version: late.version }]);
  t.same(holds, []);
  t.same(await boughtIn(11), [{ units: 0 }], 'the item is limited: the buyer may buy them again');
});

t.test('a reservation that Redis had forgotten and is made anew takes the place of the old one', async (t) => {
  const history = new History(12, randomOf(1), 1);
  const hold = history.hold(1, 1);
  history.resolve(hold, KIND.released, 3);
  const next = await persist(client, await readPosition(client, 12), history.events);
  const held = history.events.find((event) => event.kind === KIND.held)!;
  const again = { ...held, seq: next.seq + 1, version: held.version + 2, at: held.at + 90_000_000 };
  t.match(await persist(client, next, [again]), { seq: again.seq });
  t.match((await projections(12)).holds, [{ id: hold.id, state: 1, held_at: again.at, resolved_at: 0 }]);
});

t.test('one transaction for several partitions: all of them or none, and who is in the way is named', async (t) => {
  const histories = [13, 14, 15].map((partition) => new History(partition, randomOf(partition)));
  for (const history of histories) for (let n = 0; n < 40; n++) history.step();
  const batches = await Promise.all(
    histories.map(async ({ partition, events }) => ({ position: await readPosition(client, partition), events })),
  );
  const other = await database.pools.general.connect();
  await other.query('SELECT pg_advisory_lock(1212961604, 14)');
  const locked = (await persistAll(client, batches).catch((error: unknown) => error)) as Error;
  t.equal(sqlState(locked), 'HF001');
  t.same(partitionsNamed(locked), [14]);
  await other.query('SELECT pg_advisory_unlock(1212961604, 14)');
  other.release();
  const [first, second, third] = batches as unknown as [Batch, Batch, Batch];
  const spoilt = { ...second, events: [{ ...second.events[0]!, kind: 99 }] };
  const refusal = await persistAll(client, [first, spoilt, third]).catch((error: unknown) => error);
  t.ok(refusal instanceof BatchRefused);
  t.equal((refusal as BatchRefused).partition, 14);
  for (const { partition } of histories) t.match(await readPosition(client, partition), { seq: 0 });
  t.match(
    await persistAll(client, batches),
    histories.map(({ partition, seq }) => ({ partition, seq })),
  );
  const again = (await persistAll(client, [first, third]).catch((error: unknown) => error)) as Error;
  t.equal(sqlState(again), 'HF002');
  t.same(partitionsNamed(again), [13, 15]);
  for (const { partition, events } of histories) {
    const { rows } = await database.pools.general.query('SELECT * FROM movements WHERE partition = $1 ORDER BY seq', [
      partition,
    ]);
    t.same(rows, events);
  }
});

// @alone: it compares what is quiet, and waits for it.
import t, { type Test } from 'tap';
import type { Engine, ItemRef, Outcome, Reservation } from '../../engine/types.js';
import type { RunningWorker } from '../../workers/worker.js';
import { type Bench, openBench, PARTITIONS, stockEachPartition, until } from './support.js';

const PARTITION = 2;

let bench: Bench;
let engine: Engine;
let item: ItemRef;
let items: ItemRef[];
let worker: RunningWorker;

interface Row {
  kind: string;
  id: string;
  ref: string;
  quantity: number;
}

async function reversals(): Promise<Row[]> {
  const { rows } = await bench.pools.general.query<Row>(
    `SELECT k.name AS kind, r.id, r.ref, r.quantity FROM reversals r JOIN movement_kinds k USING (kind) ORDER BY r.id, k.name, r.ref`,
  );
  return rows;
}

/** Everything is in Postgres, and this engine has heard of it. */
async function quiet(): Promise<void> {
  await until(async () => {
    const statuses = await engine.partitions.status();
    return statuses.every(({ open, seq, persisted }) => open && seq === persisted.seq);
  });
  await until(async () => engine.reversals().kept === 0);
}

async function keysOf(partition: number): Promise<string[]> {
  const base = bench.keys.fixed('meta', partition).slice(0, -'meta'.length);
  const found = await Promise.all(bench.redis.nodes('master').map((node) => node.keys(`${base}*`)));
  return found.flat();
}

/** Takes the partition back to what it is now: as a failover to a replica that has not received what comes after does. */
async function remembered(partition: number): Promise<() => Promise<void>> {
  const dumps = new Map<string, Buffer>();
  for (const key of await keysOf(partition)) dumps.set(key, await bench.redis.dumpBuffer(key));
  return async () => {
    for (const key of await keysOf(partition)) await bench.redis.del(key);
    for (const [key, dump] of dumps) await bench.redis.restore(key, 0, dump);
    await bench.redis.hset(bench.keys.fixed('meta', partition), 'owner', '');
  };
}

async function reserve(by: Engine, n: number, reservationId?: string): Promise<string> {
  const request = { reservationId, buyerId: `buyer-${n}`, lines: [{ ...item, quantity: n }] };
  const outcome = await by.reservations.reserve(request, { ack: 'executed' });
  return idOf(outcome);
}

function idOf(outcome: Outcome<Reservation>): string {
  if (!('value' in outcome)) throw new Error(outcome.status);
  return outcome.value.reservationId;
}

async function isClean(t: Test): Promise<void> {
  t.same((await bench.verify(engine)).problems, []);
}

t.before(async () => {
  bench = await openBench();
  worker = await bench.worker();
  engine = await bench.engine();
  await engine.ready(20_000);
  items = await stockEachPartition(engine);
  item = items[PARTITION]!;
});

t.test('what was acknowledged as executed only and is gone is in the ledger as reversed', async (t) => {
  const stays = await reserve(engine, 1);
  await quiet();
  await worker.stop();
  const takeBack = await remembered(PARTITION);
  const gone = [await reserve(engine, 2), await reserve(engine, 3)];
  await engine.reservations.confirm(gone[0]!, { ack: 'executed' });
  await engine.reservations.confirm(stays, { ack: 'executed' });
  await engine.stock.restock(item, { quantity: 40, movementId: 'in-40' }, { ack: 'executed' });
  const both = await engine.reservations.reserve(
    {
      reservationId: 'over-two',
      buyerId: 'ada',
      lines: [item, items[PARTITION + 1]!].map((one) => ({ ...one, quantity: 1 })),
    },
    { ack: 'executed' },
  );
  t.equal(both.status, 'ok');
  t.ok(engine.reversals().kept >= 6, 'they are remembered while nobody else has them');
  await takeBack();
  worker = await bench.worker();

  const ref = `${item.location}:${item.sku}`;
  const expected = [
    { kind: 'confirmed', id: gone[0]!, ref, quantity: 0 },
    { kind: 'held', id: gone[0]!, ref, quantity: 2 },
    { kind: 'held', id: gone[1]!, ref, quantity: 3 },
    { kind: 'confirmed', id: stays, ref, quantity: 0 },
    { kind: 'restocked', id: 'in-40', ref, quantity: 40 },
    { kind: 'held', id: 'over-two', ref, quantity: 1 },
  ];
  const name = ({ kind, id }: Row) => `${id} ${kind}`;
  await until(async () => (await reversals()).length >= expected.length);
  const byName = (rows: Row[]) => [...rows].sort((a, b) => (name(a) < name(b) ? -1 : 1));
  t.same(byName(await reversals()), byName(expected));
  t.equal(engine.reversals().recorded, expected.length);
  t.equal(await engine.reservations.find(gone[0]!), undefined, 'who asks for it learns that it is not there');
  t.equal((await engine.reservations.find(stays))?.status, 'held', 'and that this one is no longer confirmed');
  const { rows } = await bench.pools.general.query<{ events: number; told: number }>(
    `SELECT (SELECT count(*) FROM movements WHERE kind = 41)::int AS events,
       (SELECT count(*) FROM movement_trail m JOIN reversals r USING (partition, epoch, seq) WHERE m.kind = 'reversed')::int AS told`,
  );
  t.same(rows[0], { events: expected.length, told: expected.length }, 'each in the ledger, where the row says');
  await quiet();
  await isClean(t);
});

t.test('what was answered before, and is still there, is not', async (t) => {
  const before = await reserve(engine, 1, engine.newReservationId(item));
  await quiet();
  const known = (await reversals()).length;
  await worker.stop();
  const takeBack = await remembered(PARTITION);
  const other = await bench.engine();
  const lost = await reserve(other, 4, engine.newReservationId(item));
  await other.close();
  // The first has the same answer again beyond the point of no return; of the second only this engine has told somebody.
  await reserve(engine, 5);
  await reserve(engine, 1, before);
  await reserve(engine, 4, lost);
  await takeBack();
  worker = await bench.worker();
  await until(async () => (await reversals()).length >= known + 2);
  await quiet();
  const rows = await reversals();
  t.equal(rows.length, known + 2);
  t.ok(rows.some(({ id }) => id === lost));
  t.notOk(rows.some(({ id }) => id === before));
  await isClean(t);
});

t.test('answers are remembered whatever was asked for, and until Postgres has them', async (t) => {
  await quiet();
  await worker.stop();
  const outcome = await engine.reservations.reserve(
    { buyerId: 'bo', lines: [{ ...item, quantity: 1 }] },
    { ack: 'replicated' },
  );
  t.match(outcome, { status: 'ok', ack: 'replicated' });
  t.equal(engine.reversals().kept, 1);
  await reserve(engine, 1);
  t.equal(engine.reversals().kept, 2);
  worker = await bench.worker();
  await quiet();
  t.same(engine.reversals(), { ...engine.reversals(), kept: 0, forgotten: 0, unrecorded: 0 });
  t.equal((await bench.verify(engine)).counted.partitions, PARTITIONS);
});

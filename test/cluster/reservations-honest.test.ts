/** What is told of a reservation over several partitions is never more than what all of its parts bear out. */
import t from 'tap';
import { OutcomeUnknown, ShardUnavailable } from '../../engine/errors.js';
import type { ItemRef, Outcome, Reservation } from '../../engine/types.js';
import { Keys } from '../../engine/keys.js';
import { Partitions } from '../../engine/partitions.js';
import { Cluster } from 'ioredis';
import { atEnd } from '../harness/index.js';
import { countsOf, done, idIn, itemIn, openBench, PARTITIONS, stockUp, sweepUntil } from './reservations-bench.js';

const HOME = 14;
const bench = await openBench();
const { engine } = bench;
const keys = new Keys(bench.prefix, new Partitions(PARTITIONS));
const redis = new Cluster(bench.redis.split(','), { clusterRetryStrategy: () => null });
atEnd(async () => redis.disconnect());

async function itemsOf(name: string): Promise<[ItemRef, ItemRef]> {
  const items: [ItemRef, ItemRef] = [itemIn(engine, 2, name), itemIn(engine, 9, name)];
  for (const item of items) await stockUp(engine, item, 10);
  return items;
}

const ackOf = (outcome: Outcome<Reservation>) => ('ack' in outcome ? outcome.ack : outcome.status);
const refOf = ({ location, sku }: ItemRef) => `${location}:${sku}`;

/** As a worker does, for one partition only. */
async function persistAll(partition: number): Promise<void> {
  const { epoch, seq } = (await engine.partitions.status()).find((one) => one.partition === partition)!;
  await engine.partitions.markPersisted(partition, { epoch, seq });
}

t.test('asking again under the same id: the parts are durable before it is called so', async (t) => {
  const lines = (await itemsOf('again')).map((item) => ({ ...item, quantity: 1 }));
  const reservationId = idIn(HOME, 'again');
  t.equal((await engine.reservations.reserve({ reservationId, lines }, { ack: 'executed' })).status, 'ok');
  await persistAll(HOME);
  const again = await engine.reservations.reserve({ reservationId, lines }, { ack: 'durable', timeoutMs: 1_500 });
  t.equal(again.status, 'exists');
  t.not(ackOf(again), 'durable', 'only the claim is in Postgres');
  await persistAll(2);
  await persistAll(9);
  const third = await engine.reservations.reserve({ reservationId, lines }, { ack: 'durable' });
  t.equal(ackOf(third), 'durable');
});

t.test('a part that was lost: nothing beyond the decision itself is vouched for', async (t) => {
  for (const decision of ['confirm', 'release'] as const) {
    const lines = (await itemsOf(decision)).map((item) => ({ ...item, quantity: 1 }));
    const held = done(await engine.reservations.reserve({ lines }));
    const { reservationId: id } = held;
    const lost = engine.partitions.of(lines[1]!);
    t.equal(await redis.hdel(keys.fixed('holds', lost), id), 1);
    const decided = await engine.reservations[decision](id, { ack: 'replicated' });
    t.equal(decided.status, 'ok');
    t.equal(ackOf(decided), 'executed', decision);
  }
});

/** Three units of each item, sold. */
async function bought(items: readonly ItemRef[]): Promise<string> {
  const lines = items.map((item) => ({ ...item, quantity: 3 }));
  const { reservationId } = done(await engine.reservations.reserve({ lines }));
  done(await engine.reservations.confirm(reservationId));
  return reservationId;
}

t.test('a return that reaches one part and not the other is decided, and the sweep completes it', async (t) => {
  const items = await itemsOf('half');
  const id = await bought(items);
  const stock = keys.item('stock', 9, refOf(items[1]));
  const kept = await redis.hgetall(stock);
  await redis.set(stock, 'broken');
  const answer = await engine.reservations.return(id, undefined, { ack: 'replicated' });
  t.match(answer, { status: 'ok', ack: 'executed', value: { status: 'returned' } });
  t.same(await countsOf(engine, [items[0]]), [[10, 0, 0]], 'these are back');
  await redis.del(stock);
  await redis.hset(stock, kept);
  t.same(await countsOf(engine, [items[1]]), [[7, 0, 3]]);
  await sweepUntil('all are back', engine, async () => (await countsOf(engine, items)).every((c) => c[0] === 10));
  t.equal((await engine.reservations.find(id))!.status, 'returned');
});

t.test('some of the units: reaching one part and not the other is not called undone', async (t) => {
  const items = await itemsOf('some');
  const id = await bought(items);
  await lose(items[1], id);
  const some = items.map((item) => ({ ...item, quantity: 1 }));
  await t.rejects(engine.reservations.return(id, some), OutcomeUnknown, 'one part is not there');
  t.same(await countsOf(engine, [items[0]]), [[8, 0, 2]], 'of the other, one is back');
  await t.rejects(engine.reservations.return(id, some.slice(1)), ShardUnavailable, 'nothing has happened');
  await sweepUntil('it is sold again', engine, async () => (await countsOf(engine, items))[1]![2] === 3);
  t.equal(done(await engine.reservations.return(id, some)).status, 'confirmed');
  t.same(await countsOf(engine, items), [
    [8, 0, 2],
    [8, 0, 2],
  ]);
  const rest = await engine.reservations.return(id, items);
  t.match(rest, { status: 'ok', value: { status: 'returned' } });
  t.same(await countsOf(engine, items), [
    [10, 0, 0],
    [10, 0, 0],
  ]);
});

/** A part as it would be had its shard lost the hold: no record, and its units are free. */
async function lose(item: ItemRef, id: string): Promise<void> {
  const partition = engine.partitions.of(item);
  await redis.hdel(keys.fixed('holds', partition), id);
  await redis.hset(keys.item('stock', partition, refOf(item)), { a: 10, r: 0, s: 0 });
}

t.test('a part that was lost is held again before the sale, by whoever has not seen it to be safe', async (t) => {
  const stranger = await bench.another();
  const items = await itemsOf('lost');
  const { reservationId: id } = done(
    await engine.reservations.reserve({ lines: items.map((item) => ({ ...item, quantity: 2 })) }),
  );
  await lose(items[1], id);
  t.equal(done(await stranger.reservations.confirm(id)).status, 'confirmed');
  t.same(await countsOf(engine, items), [
    [8, 0, 2],
    [8, 0, 2],
  ]);
});

t.test('its units are gone: the reservation is given back as a whole, and the answer says why', async (t) => {
  const stranger = await bench.another();
  const items = await itemsOf('taken');
  const { reservationId: id } = done(
    await engine.reservations.reserve({ lines: items.map((item) => ({ ...item, quantity: 2 })) }),
  );
  await lose(items[1], id);
  done(await engine.stock.deduct(items[1], { quantity: 9, orderId: 'other' }));
  t.match(await stranger.reservations.confirm(id), { status: 'insufficient_stock', item: items[1], available: 1 });
  t.same(await countsOf(engine, items), [
    [10, 0, 0],
    [1, 0, 9],
  ]);
  t.equal((await engine.reservations.find(id))!.status, 'released');
});

t.test('a sale whose part is found missing afterwards is completed by the sweep', async (t) => {
  const items = await itemsOf('later');
  const { reservationId: id } = done(
    await engine.reservations.reserve({ lines: items.map((item) => ({ ...item, quantity: 2 })) }),
  );
  await lose(items[1], id);
  const sold = await engine.reservations.confirm(id);
  t.match(sold, { status: 'ok', ack: 'executed' }, 'this process knows the holds to be safe, and does not look');
  await sweepUntil('it is sold as a whole', engine, async () =>
    (await countsOf(engine, items)).every((c) => c[2] === 2),
  );
  t.same(await countsOf(engine, items), [
    [8, 0, 2],
    [8, 0, 2],
  ]);
});

t.test('a home that forgot its decision finds it at a part that was sold by it', async (t) => {
  const items = await itemsOf('forgot');
  const reservationId = idIn(HOME, 'forgot');
  const lines = items.map((item) => ({ ...item, quantity: 2 }));
  done(await engine.reservations.reserve({ reservationId, lines, holdSeconds: 2 }));
  // Neither the home nor the second part has kept anything of the sale.
  const [claims, holds] = [keys.fixed('claims', HOME), keys.fixed('holds', 9)];
  const stock = keys.item('stock', 9, refOf(items[1]));
  const claim = (await redis.hgetBuffer(claims, reservationId))!;
  const hold = (await redis.hgetBuffer(holds, reservationId))!;
  const level = await redis.hgetall(stock);
  done(await engine.reservations.confirm(reservationId));
  await redis.hset(claims, reservationId, claim);
  await redis.hset(holds, reservationId, hold);
  await redis.hset(stock, level);
  t.same(await countsOf(engine, items), [
    [8, 0, 2],
    [8, 2, 0],
  ]);
  await sweepUntil('it is sold', engine, async () => (await countsOf(engine, items)).every((c) => c[1] === 0));
  t.same(await countsOf(engine, items), [
    [8, 0, 2],
    [8, 0, 2],
  ]);
  t.equal((await engine.reservations.find(reservationId))!.status, 'confirmed');
});

t.test(
  'a home that forgot its decision, and was told to give the reservation back since: all of it comes back',
  async (t) => {
    const items = await itemsOf('gave');
    const reservationId = idIn(HOME, 'gave');
    done(await engine.reservations.reserve({ reservationId, lines: items.map((item) => ({ ...item, quantity: 2 })) }));
    const claims = keys.fixed('claims', HOME);
    const claim = (await redis.hgetBuffer(claims, reservationId))!;
    done(await engine.reservations.confirm(reservationId));
    await redis.hset(claims, reservationId, claim);
    t.equal(done(await engine.reservations.release(reservationId)).status, 'released');
    t.same(await countsOf(engine, items), [
      [8, 0, 2],
      [8, 0, 2],
    ]);
    await sweepUntil('its units are back', engine, async () =>
      (await countsOf(engine, items)).every((c) => c[2] === 0),
    );
    t.same(await countsOf(engine, items), [
      [10, 0, 0],
      [10, 0, 0],
    ]);
    t.equal((await engine.reservations.find(reservationId))!.status, 'released');
  },
);

t.test('a home that forgot that it was given back finds it at a part that was', async (t) => {
  const items = await itemsOf('given');
  const reservationId = idIn(HOME, 'given');
  done(await engine.reservations.reserve({ reservationId, lines: items.map((item) => ({ ...item, quantity: 2 })) }));
  const claims = keys.fixed('claims', HOME);
  const claim = (await redis.hgetBuffer(claims, reservationId))!;
  done(await engine.reservations.release(reservationId));
  await redis.hset(claims, reservationId, claim);
  t.equal((await engine.reservations.find(reservationId))!.status, 'held');
  await sweepUntil(
    'it is given back',
    engine,
    async () => (await engine.reservations.find(reservationId))!.status === 'released',
  );
  t.same(await countsOf(engine, items), [
    [10, 0, 0],
    [10, 0, 0],
  ]);
});

t.test('a home that forgot the whole reservation: what was sold by it comes back at its deadline', async (t) => {
  const items = await itemsOf('whole');
  const reservationId = idIn(HOME, 'whole');
  const lines = items.map((item) => ({ ...item, quantity: 2 }));
  done(await engine.reservations.reserve({ reservationId, lines, holdSeconds: 2 }));
  done(await engine.reservations.confirm(reservationId));
  await redis.hdel(keys.fixed('claims', HOME), reservationId);
  await sweepUntil('its units are back', engine, async () => (await countsOf(engine, items)).every((c) => c[2] === 0));
  t.same(await countsOf(engine, items), [
    [10, 0, 0],
    [10, 0, 0],
  ]);
  t.equal(await engine.reservations.find(reservationId), undefined);
});

t.test(
  'an extension is told of what is held as a whole: a part that was lost is held again, or the answer says why',
  async (t) => {
    const stranger = await bench.another();
    const items = await itemsOf('longer');
    const hold = async (): Promise<string> =>
      done(await engine.reservations.reserve({ lines: items.map((item) => ({ ...item, quantity: 2 })) })).reservationId;
    const id = await hold();
    await lose(items[1], id);
    t.equal(done(await stranger.reservations.extend(id, 3_600)).status, 'held');
    t.same(await countsOf(engine, items), [
      [8, 2, 0],
      [8, 2, 0],
    ]);
    done(await engine.reservations.release(id));
    const gone = await hold();
    await lose(items[1], gone);
    done(await engine.stock.deduct(items[1], { quantity: 9, orderId: 'other-longer' }));
    t.match(await stranger.reservations.extend(gone, 3_600), { status: 'insufficient_stock', item: items[1] });
    t.equal((await engine.reservations.find(gone))!.status, 'released');
  },
);

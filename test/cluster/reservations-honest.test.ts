/** What is told of a reservation over several partitions is never more than what all of its parts bear out. */
import t from 'tap';
import { OutcomeUnknown } from '../../engine/errors.js';
import type { ItemRef, Outcome, Reservation } from '../../engine/types.js';
import { Keys } from '../../engine/keys.js';
import { Partitions } from '../../engine/partitions.js';
import { Cluster } from 'ioredis';
import { atEnd } from '../harness/index.js';
import { countsOf, done, idIn, itemIn, openBench, PARTITIONS, stockUp } from './reservations-bench.js';

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

t.test('a return that reaches one part and not the other is not called undone', async (t) => {
  const items = await itemsOf('half');
  const { reservationId: id } = done(
    await engine.reservations.reserve({ lines: items.map((item) => ({ ...item, quantity: 3 })) }),
  );
  done(await engine.reservations.confirm(id));
  const stock = keys.item('stock', 9, refOf(items[1]));
  const kept = await redis.hgetall(stock);
  await redis.set(stock, 'broken');
  await t.rejects(engine.reservations.return(id), OutcomeUnknown);
  t.same(await countsOf(engine, [items[0]]), [[10, 0, 0]], 'these are back');
  await redis.del(stock);
  await redis.hset(stock, kept);
  t.equal(done(await engine.reservations.return(id)).status, 'returned');
  t.same(await countsOf(engine, items), [
    [10, 0, 0],
    [10, 0, 0],
  ]);
});

/** Memory full (FAULTS 10): what is new is refused whole; what ends a reservation, and what makes room, goes on. */
import t from 'tap';
import { openEngine, Overloaded } from '../../engine/index.js';
import type { ItemRef, Reservation } from '../../engine/types.js';
import { withAdmin } from '../../stack/redis-form.js';
import { atEnd, startCluster } from '../harness/index.js';

const cluster = await startCluster({ masters: 1, replicasPerMaster: 0 });
const engine = await openEngine({ redis: cluster.url, partitions: 8, timeoutMs: 5_000 });
atEnd(() => engine.close());
await engine.ready();

const memory = (value: string) =>
  withAdmin(cluster.nodes[0]!.port, (client) => client.config('SET', 'maxmemory', value));
const everything = () =>
  withAdmin(cluster.nodes[0]!.port, async (client) => {
    const keys = (await client.keys('hf:*')).sort();
    return Promise.all(
      keys.map(async (key) => [key, await client.dumpBuffer(key).then((value) => value?.toString('hex'))]),
    );
  });

const items: ItemRef[] = Array.from({ length: 4 }, (_, n) => ({ location: 'full', sku: `item-${n}` }));
for (const item of items) {
  await engine.stock.configure(item, {});
  await engine.stock.restock(item, { quantity: 100 });
}

async function held(lines: readonly ItemRef[], holdSeconds = 600): Promise<Reservation> {
  const outcome = await engine.reservations.reserve({
    lines: lines.map((item) => ({ ...item, quantity: 2 })),
    holdSeconds,
  });
  if (!('value' in outcome)) throw new Error(outcome.status);
  return outcome.value;
}

const [first] = items as [ItemRef];

t.test('what is new is refused and changes nothing, not one byte', async (t) => {
  t.ok(new Set(items.map((item) => engine.partitions.of(item))).size > 1, 'the items lie in several partitions');
  await memory('1mb');
  const before = await everything();
  await t.rejects(held([first]), Overloaded);
  await t.rejects(held(items), Overloaded, 'over several partitions');
  await t.rejects(engine.stock.deduct(first, { quantity: 1, orderId: 'o-1' }), Overloaded);
  await t.rejects(engine.stock.restock(first, { quantity: 1 }), Overloaded);
  await t.rejects(engine.stock.configure(first, { buyerLimit: 1 }), Overloaded);
  t.same(await everything(), before);
  const [{ used, limit } = { used: 0, limit: 0 }] = await engine.partitions.memory();
  t.equal(limit, 1_048_576);
  t.ok(used > limit, `${used} bytes`);
  await memory('0');
});

t.test('what was begun is ended: confirm, release, return, expire, also over several partitions', async (t) => {
  const one = { sold: await held([first]), back: await held([first]), late: await held([first], 1) };
  const many = { sold: await held(items), back: await held(items), late: await held(items, 1) };
  await memory('1mb');
  for (const { sold, back } of [one, many]) {
    t.match(await engine.reservations.confirm(sold.reservationId), { status: 'ok', value: { status: 'confirmed' } });
    t.match(await engine.reservations.release(back.reservationId), { status: 'ok', value: { status: 'released' } });
    t.match(await engine.reservations.return(sold.reservationId), { status: 'ok', value: { status: 'returned' } });
  }
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  // A claim's parts ask their home one after the other: until nothing is left to do.
  for (let tries = 0; tries < 100; tries++) {
    let done = 0;
    for (let partition = 0; partition < engine.partitions.count; partition++)
      done += await engine.partitions.sweep(partition);
    const levels = await engine.stock.check(items);
    if (done === 0 && levels.every((level) => level?.reserved === 0)) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  for (const { late } of [one, many]) t.equal((await engine.reservations.find(late.reservationId))?.status, 'expired');
  for (const level of await engine.stock.check(items)) t.match(level, { available: 100, reserved: 0, sold: 0 });
  await memory('0');
});

t.test('the log is trimmed, and a restarted node is opened again', async (t) => {
  await memory('1mb');
  const before = (await engine.partitions.status()).filter(({ logLength }) => logLength > 1);
  t.ok(before.length > 0);
  for (const { partition, epoch, seq } of before) await engine.partitions.markPersisted(partition, { epoch, seq });
  for (const { partition, logLength } of await engine.partitions.status())
    if (before.some((one) => one.partition === partition)) t.equal(logLength, 0, `log of ${partition}`);
  const sold = await (async () => {
    await memory('0');
    const one = await held([first]);
    await memory('1mb');
    return one;
  })();
  await withAdmin(cluster.nodes[0]!.port, (client) => client.script('FLUSH'));
  t.match(await engine.reservations.confirm(sold.reservationId, { timeoutMs: 10_000 }), { status: 'ok' });
  await memory('0');
  t.match(await engine.reservations.reserve({ lines: [{ ...first, quantity: 1 }] }), { status: 'ok' });
});

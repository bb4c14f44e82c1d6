/** The near cache on a real cluster: it sees every change, never goes back, asks once for many, and forgets. (S2, S10) */
import t from 'tap';
import { stockCheck } from '../../engine/scripts/generated/stock-check.js';
import { ScriptSet } from '../../engine/scripts/loading.js';
import type { ItemRef } from '../../engine/types.js';
import { cacheBench, change, makeItem, refOf, warm } from '../support/cache.js';
import { until } from '../support/core.js';
import { watchCommands } from '../support/watch.js';

const item = (sku: string): ItemRef => ({ location: 'main', sku });

t.test('every kind of change reaches readers, whoever makes it', async (t) => {
  const { engine, cache } = await cacheBench();
  const shoe = item('shoe');
  t.equal((await cache.get(refOf(shoe))).entry.exists, false, 'an item there is not is known as such');
  await makeItem(engine, shoe, 10);
  const ref = refOf(shoe);
  const expectCounts = async (what: string, available: number, reserved: number, sold: number) => {
    await until(what, async () => {
      const { entry } = await cache.get(ref);
      return entry.available === available && entry.reserved === reserved && entry.sold === sold;
    });
    const [truth] = await engine.stock.check([shoe]);
    const { entry } = await cache.get(ref);
    t.match(entry, { version: truth!.version, updatedAt: truth!.updatedAt, available, reserved, sold }, what);
  };
  await expectCounts('created and filled', 10, 0, 0);
  const lines = [{ ...shoe, quantity: 3 }];
  const hold = async (holdSeconds = 600) => {
    const outcome = await engine.reservations.reserve({ lines, holdSeconds });
    if (!('value' in outcome)) throw new Error(outcome.status);
    return outcome.value.reservationId;
  };
  const id = await hold();
  await expectCounts('held', 7, 3, 0);
  await engine.reservations.confirm(id);
  await expectCounts('confirmed', 7, 0, 3);
  await engine.reservations.return(id);
  await expectCounts('returned', 10, 0, 0);
  const second = await hold();
  await engine.reservations.release(second);
  await expectCounts('released', 10, 0, 0);
  await engine.stock.adjust(shoe, { by: -2, reason: 'broken' });
  await expectCounts('adjusted', 8, 0, 0);
  await engine.stock.deduct(shoe, { quantity: 1, orderId: 'o1' });
  await expectCounts('deducted', 7, 0, 1);
  await hold(1);
  await expectCounts('held shortly', 4, 3, 1);
  await until('swept', async () => {
    await engine.partitions.sweep(engine.partitions.of(shoe));
    return (await engine.stock.check([shoe]))[0]!.reserved === 0;
  });
  await expectCounts('expired', 7, 0, 1);
  t.ok(cache.counts.hits > 0, 'from memory');
  t.ok(cache.deltas.counts.messages > 0);
  t.equal(cache.deltas.counts.malformed, 0);
});

t.test('claims over several partitions reach readers too', async (t) => {
  const { engine, cache } = await cacheBench();
  const items = Array.from({ length: 6 }, (_, n) => item(`many-${n}`));
  for (const one of items) {
    await makeItem(engine, one, 5);
    await warm(cache, one);
  }
  const outcome = await engine.reservations.reserve({ lines: items.map((one) => ({ ...one, quantity: 2 })) });
  t.equal(outcome.status, 'ok');
  for (const one of items) await until(one.sku, async () => (await cache.get(refOf(one))).entry.available === 3);
});

t.test(
  'for one reader versions never go back, and a change that was answered is seen within the promised age',
  async (t) => {
    const { engine, cache } = await cacheBench();
    const busy = item('busy');
    const ref = refOf(busy);
    await makeItem(engine, busy, 1_000_000);
    await warm(cache, busy);
    let running = true;
    let last = 0;
    let reads = 0;
    const back: string[] = [];
    const tooOld: string[] = [];
    /** Versions with the time by which they had been answered. */
    const answered: { version: number; at: number }[] = [];
    const reader = (async () => {
      while (running) {
        const now = performance.now();
        const { entry, staleMs } = await cache.get(ref, reads++ % 97 === 0);
        if (entry.version < last) back.push(`${last} then ${entry.version}`);
        last = entry.version;
        const must = answered.findLast(({ at }) => at <= now - staleMs);
        if (must && entry.version < must.version) tooOld.push(`${entry.version}, not ${must.version} (${staleMs} ms)`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; n < 250; n++) {
        const done = await change(engine.stock.deduct(busy, { quantity: 1, orderId: `w${writer}-${n}` }));
        answered.push({ version: done.version, at: performance.now() });
      }
    });
    await Promise.all(writers);
    await until('the last change', async () => (await cache.get(ref)).entry.sold === 2_000);
    running = false;
    await reader;
    t.strictSame(back, []);
    t.strictSame(tooOld.slice(0, 3), []);
    t.ok(reads > 100, `${reads} reads`);
  },
);

t.test('a thousand who miss at once are one script call; items of one partition share it', async (t) => {
  const { engine, cache, url, prefix } = await cacheBench();
  const hot = item('hot');
  await makeItem(engine, hot, 5);
  // The first read of a process finds out where the partition stands.
  await cache.get(refOf(item('else')));
  const sha1 = new ScriptSet(prefix).sha1(stockCheck);
  const calls: string[][] = [];
  for (const part of url.split(','))
    await watchCommands(Number(new URL(part).port), (words) => {
      if (words[0]!.toLowerCase() === 'evalsha' && words[1] === sha1) calls.push(words);
    });
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => cache.get(refOf(hot))));
  t.ok(answers.every(({ entry }) => entry.available === 5));
  await until('the call was seen', async () => calls.length > 0);
  t.equal(calls.length, 1);
  t.equal(calls[0]!.filter((word) => word.endsWith(':hot')).length, 1);
  t.equal(cache.counts.reads, 2);
});

t.test('fresh goes to Redis every time', async (t) => {
  const { engine, cache } = await cacheBench();
  const one = item('fresh');
  await makeItem(engine, one, 5);
  await warm(cache, one);
  const before = cache.counts.reads;
  for (let n = 0; n < 5; n++) t.match(await cache.get(refOf(one), true), { staleMs: 0, entry: { available: 5 } });
  t.equal(cache.counts.reads, before + 5);
});

t.test('bounded: as many items as it may keep, and none that nobody asks for', async (t) => {
  const { engine, cache } = await cacheBench({ items: 100, idleSeconds: 1 });
  for (let n = 0; n < 20; n++) await makeItem(engine, item(`kept-${n}`), n + 1);
  for (let n = 0; n < 500; n++) await cache.get(`main:none-${n}`);
  t.equal(cache.size, 100);
  for (let n = 0; n < 20; n++)
    t.equal((await cache.get(refOf(item(`kept-${n}`)))).entry.available, n + 1, 'what was evicted is read again');
  t.equal(cache.size, 100);
  await until('all of them left', async () => cache.size === 0, 200_000);
  t.ok(cache.evicted >= 520);
  t.equal((await cache.get(refOf(item('kept-3')))).entry.available, 4);
});

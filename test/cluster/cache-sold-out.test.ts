/** Refusals of what is known to be sold out: only while that is vouched for, never for a repetition, never for long. (S6, S9) */
import t from 'tap';
import { SoldOut } from '../../engine/cache/sold-out.js';
import type { Engine, ItemRef } from '../../engine/types.js';
import { reserveUnlessSoldOut } from '../../server/cache/sold-out.js';
import { cacheBench, change, makeItem, refOf, warm } from '../support/cache.js';
import { until } from '../support/core.js';

const item = (sku: string): ItemRef => ({ location: 'main', sku });

/** Asks until a request was refused without Redis. */
async function untilKnown(what: string, soldOut: SoldOut, ask: () => Promise<unknown>): Promise<void> {
  const before = soldOut.refused;
  await until(what, async () => {
    await ask();
    return soldOut.refused > before;
  });
}

t.test('known after Redis has said so; forgotten with the next change', async (t) => {
  const { engine, reader, cache } = await cacheBench();
  const soldOut = new SoldOut(cache, 1_000);
  const one = item('gone');
  await makeItem(engine, one, 1);
  await warm(cache, one);
  const ask = async (reservationId?: string) =>
    reserveUnlessSoldOut(reader, soldOut, { lines: [{ ...one, quantity: 1 }], reservationId }, {});
  const first = await ask('mine');
  t.equal(first.status, 'ok');
  await until(
    'the last one is known to be held',
    async () => cache.hit(refOf(one), performance.now())?.available === 0,
  );
  t.equal(soldOut.refused, 0, 'nobody is refused before Redis has refused somebody');
  await untilKnown('refused from memory', soldOut, () => ask());
  t.strictSame(await ask(), { status: 'insufficient_stock', item: one, available: 0 });
  const refused = soldOut.refused;
  for (let n = 0; n < 20; n++) t.equal((await ask('mine')).status, 'exists', 'a repetition gets its answer');
  t.equal((await ask('other')).status, 'insufficient_stock', 'Redis is asked about what has an id');
  t.equal(soldOut.refused, refused);
  await change(engine.stock.restock(one, { quantity: 5 }));
  await until('on sale again', async () => (await ask()).status === 'ok');
});

t.test('what Redis refuses for another reason is not sold out', async (t) => {
  const { engine, reader, cache } = await cacheBench();
  const soldOut = new SoldOut(cache, 1_000);
  const later = item('later');
  await makeItem(engine, later, 0);
  await engine.stock.configure(later, { opensAt: Date.now() + 3_600_000 });
  await warm(cache, later);
  for (let n = 0; n < 50; n++) {
    const outcome = await reserveUnlessSoldOut(reader, soldOut, { lines: [{ ...later, quantity: 1 }] }, {});
    t.equal(outcome.status, 'not_on_sale');
  }
  t.equal(soldOut.refused, 0);
});

t.test('holds that are overdue come back to whoever asks', async (t) => {
  const { engine, reader, cache } = await cacheBench();
  const soldOut = new SoldOut(cache, 1_000);
  const one = item('held');
  await makeItem(engine, one, 1);
  await warm(cache, one);
  const lines = [{ ...one, quantity: 1 }];
  t.equal((await engine.reservations.reserve({ lines, holdSeconds: 2 })).status, 'ok');
  const ask = async () => reserveUnlessSoldOut(reader, soldOut, { lines }, {});
  await untilKnown('refused from memory', soldOut, ask);
  // Nobody sweeps here but those who ask.
  await until('sold to somebody who asked', async () => (await ask()).status === 'ok');
});

t.test('not refused on old news, nor at all where that is switched off', async (t) => {
  const { engine, reader, cache } = await cacheBench();
  const one = item('old');
  await makeItem(engine, one, 0);
  await warm(cache, one);
  const off = new SoldOut(cache, 0);
  const lines = [{ ...one, quantity: 1 }];
  for (let n = 0; n < 50; n++)
    t.equal((await reserveUnlessSoldOut(reader, off, { lines }, {})).status, 'insufficient_stock');
  t.equal(off.refused, 0);
  const soldOut = new SoldOut(cache, 1_000);
  await untilKnown('refused from memory', soldOut, async () => reserveUnlessSoldOut(reader, soldOut, { lines }, {}));
  const feed = cache.deltas.feeds[engine.partitions.of(one)]!;
  feed.generation++;
  t.equal(soldOut.find([refOf(one)]), undefined, 'something was missed');
});

t.test('a random workload: when it is quiet, memory and Redis say the same of every item', async (t) => {
  const { engine, cache } = await cacheBench();
  const items = Array.from({ length: 40 }, (_, n) => item(`mix-${n}`));
  for (const one of items) await makeItem(engine, one, 50);
  let seed = 12_345;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed % below;
  };
  const held: string[] = [];
  const back: string[] = [];
  const seen = new Map<string, number>();
  const look = async (): Promise<void> => {
    const ref = refOf(items[random(items.length)]!);
    const { entry } = await cache.get(ref, random(20) === 0);
    if (entry.version < (seen.get(ref) ?? 0)) back.push(`${ref}: ${seen.get(ref)} then ${entry.version}`);
    seen.set(ref, entry.version);
  };
  const act = async (n: number): Promise<void> => {
    const pick = (): ItemRef => items[random(items.length)]!;
    const what = random(10);
    if (what < 4) {
      const outcome = await engine.reservations.reserve({
        lines: Array.from({ length: 1 + random(3) }, () => ({ ...pick(), quantity: 1 + random(3) })),
      });
      if ('value' in outcome) held.push(outcome.value.reservationId);
    } else if (what < 7 && held.length > 0) await finish(engine, held.splice(random(held.length), 1)[0]!, random(3));
    else if (what < 8) await engine.stock.restock(pick(), { quantity: 1 + random(9) });
    else if (what < 9) await engine.stock.adjust(pick(), { by: -1, reason: 'lost' });
    else await engine.stock.deduct(pick(), { quantity: 1, orderId: `o-${n}` });
  };
  const readers = (async () => {
    for (let n = 0; n < 4_000; n++) await look();
  })();
  for (let n = 0; n < 100; n++) await Promise.all(Array.from({ length: 10 }, (_, lane) => act(n * 10 + lane)));
  await readers;
  t.strictSame(back, [], 'no version went back');
  const truth = await engine.stock.check(items);
  for (const [index, one] of items.entries()) {
    const { available, reserved, sold, version, updatedAt } = truth[index]!;
    await until(one.sku, async () => (await cache.get(refOf(one))).entry.version >= version);
    t.match((await cache.get(refOf(one))).entry, { available, reserved, sold, version, updatedAt }, one.sku);
  }
  t.ok(cache.counts.hits > cache.counts.misses, `${cache.counts.hits} from memory, ${cache.counts.misses} not`);
});

async function finish(engine: Engine, id: string, how: number): Promise<void> {
  if (how === 0) await engine.reservations.confirm(id);
  else if (how === 1) await engine.reservations.release(id);
  else await engine.reservations.extend(id, 1_000);
}

/** Reservations of two and of ten lines over different partitions and shards: all of them or nothing. (S5, S6) */
import t from 'tap';
import type { StatusName } from '../../engine/scripts/generated/statuses.js';
import type { ItemRef, ReserveRequest, StockSettings } from '../../engine/types.js';
import { answerOf, countsOf, done, everything, idIn, itemIn, openBench, stockUp } from './reservations-bench.js';

const bench = await openBench();
const { engine } = bench;
const SIZES = [2, 10];
/** Partitions on all three shards; none of them is the home of ids in these tests. */
const PLACES = [0, 1, 3, 5, 6, 8, 9, 11, 12, 15];
const HOME = 14;
/** One good item in each of them, thousands of units. */
const good = await Promise.all(
  PLACES.map(async (partition) => {
    const item = itemIn(engine, partition, 'good');
    await stockUp(engine, item, 100_000);
    return item;
  }),
);
const nodes = new Map((await engine.partitions.status()).map(({ partition, node }) => [partition, node]));

t.test('the lines of these tests lie on all shards', async (t) => {
  t.equal(new Set(good.map((item) => nodes.get(engine.partitions.of(item)))).size, 3);
});

for (const size of SIZES)
  for (const whose of ['engine', 'caller'] as const)
    t.test(`${size} lines under an id of the ${whose} live through everything together`, async (t) => {
      const items = spread(size);
      const before = await countsOf(engine, items);
      const request = requestOf(items, whose);
      const held = await engine.reservations.reserve(request);
      t.equal(held.status, 'ok');
      const { reservationId: id, lines, status } = done(held);
      t.equal(status, 'held');
      t.same(
        lines.map(({ sku, quantity, returned }) => [sku, quantity, returned]).sort(),
        items.map(({ sku }, n) => [sku, n + 1, 0]).sort(),
      );
      t.same(
        await countsOf(engine, items),
        moved(before, items, (n) => [-n, n, 0]),
        'held',
      );
      const longer = done(await engine.reservations.extend(id, 3_600));
      t.ok(longer.expiresAt > done(held).expiresAt);
      t.equal(done(await engine.reservations.confirm(id)).status, 'confirmed');
      t.same(
        await countsOf(engine, items),
        moved(before, items, (n) => [-n, 0, n]),
        'sold',
      );
      const [first] = items;
      const partly = done(await engine.reservations.return(id, [{ ...first!, quantity: 1 }]));
      t.equal(partly.lines.find((line) => line.sku === first!.sku)!.returned, 1);
      t.equal(done(await engine.reservations.return(id)).status, 'returned');
      t.same(await countsOf(engine, items), before, 'all came back');
    });

t.test('released over several shards: everything goes back at once', async (t) => {
  const items = spread(10);
  const before = await countsOf(engine, items);
  const { reservationId } = done(await engine.reservations.reserve(requestOf(items, 'engine')));
  t.equal(done(await engine.reservations.release(reservationId)).status, 'released');
  t.same(await countsOf(engine, items), before);
  t.equal((await engine.reservations.confirm(reservationId)).status, 'reservation_released');
});

t.test('duplicates of a line are summed before anything is asked, also over shards', async (t) => {
  const [a, b] = [good[0]!, good[7]!];
  const before = await countsOf(engine, [a, b]);
  const lines = [
    { ...a, quantity: 2 },
    { ...b, quantity: 1 },
    { ...a, quantity: 3 },
  ];
  const held = done(await engine.reservations.reserve({ lines }));
  t.same(
    held.lines.map(({ sku, quantity }) => [sku, quantity]).sort(),
    [
      [a.sku, 5],
      [b.sku, 1],
    ].sort(),
  );
  t.same(
    await countsOf(engine, [a, b]),
    moved(before, [a, b], (_n, at) => (at === 0 ? [-5, 5, 0] : [-1, 1, 0])),
  );
  done(await engine.reservations.release(held.reservationId));
});

interface Flaw {
  readonly status: StatusName;
  readonly settings?: StockSettings;
  readonly units: number;
  readonly missing?: boolean;
  readonly anonymous?: boolean;
  readonly available?: number;
}

/** Every way in which an item can refuse two units. */
const FLAWS: readonly Flaw[] = [
  { status: 'sku_not_found', units: 0, missing: true },
  { status: 'buyer_required', units: 9, settings: { buyerLimit: 5 }, anonymous: true },
  { status: 'admission_required', units: 9, settings: { room: 'hall' } },
  { status: 'not_on_sale', units: 9, settings: { opensAt: 4_000_000_000_000 } },
  { status: 'not_on_sale', units: 9, settings: { closesAt: 1_000 } },
  { status: 'buyer_limit', units: 9, settings: { buyerLimit: 1 }, available: 1 },
  { status: 'insufficient_stock', units: 1, available: 1 },
];

for (const [kind, flaw] of FLAWS.entries())
  t.test(`refused as ${flaw.status}, whichever line it is: nothing remains`, async (t) => {
    const before = await countsOf(engine, good);
    for (const size of SIZES)
      for (let position = 0; position < size; position++) {
        const items = [...spread(size)];
        const bad = itemIn(engine, engine.partitions.of(items[position]!), `bad-${kind}-${size}-${position}`);
        items[position] = bad;
        if (!flaw.missing) {
          await stockUp(engine, bad, flaw.units);
          if (flaw.settings) done(await engine.stock.configure(bad, flaw.settings));
        }
        for (const whose of ['engine', 'caller'] as const) {
          const base = requestOf(items, whose);
          const request = { ...base, lines: base.lines.map((line) => ({ ...line, quantity: 2 })) };
          const buyerId = flaw.anonymous ? undefined : 'ada';
          const refused = await engine.reservations.reserve({ ...request, buyerId });
          const expected = {
            status: flaw.status,
            item: bad,
            ...('available' in flaw && { available: flaw.available }),
          };
          const { available, ...rest } = refused as { available?: number };
          const seen = 'available' in flaw ? { ...rest, available } : rest;
          t.same(seen, expected, `line ${position + 1} of ${size}, id of the ${whose}`);
          // The id of a refused reservation is free again: the same lines with a good one in its place go through.
          if (request.reservationId !== undefined && position === 0) {
            const other = { ...request, buyerId, lines: requestOf(spread(size), 'caller').lines };
            t.equal(done(await engine.reservations.reserve(other)).status, 'held');
            t.equal(done(await engine.reservations.release(request.reservationId)).status, 'released');
          }
        }
        if (!flaw.missing) t.same(await countsOf(engine, [bad]), [[flaw.units, 0, 0]]);
      }
    t.same(await countsOf(engine, good), before, 'the other lines are as before');
    const { holds, claims } = await everything(engine);
    t.equal(holds.filter(({ state }) => state === 'held').length, 0, 'no holds');
    t.equal(claims.filter(({ state }) => state === 'held' || state === 'pending').length, 0, 'no claims');
  });

t.test('two refusals at once: the one of the higher precedence answers, and nothing remains', async (t) => {
  const missing = itemIn(engine, 3, 'never-made');
  const empty = itemIn(engine, 5, 'empty');
  await stockUp(engine, empty, 0);
  const refused = await engine.reservations.reserve({
    lines: [good[0]!, empty, good[1]!, missing].map((item) => ({ ...item, quantity: 1 })),
  });
  t.same(answerOf(refused), { status: 'sku_not_found', item: missing });
});

t.test('the last units are fought for over two shards: never half, never too many', async (t) => {
  const UNITS = 40;
  const [a, b] = [itemIn(engine, 2, 'scarce'), itemIn(engine, 11, 'scarce')];
  await stockUp(engine, a, UNITS);
  await stockUp(engine, b, UNITS / 2);
  const outcomes = await Promise.all(
    Array.from({ length: 150 }, () =>
      engine.reservations.reserve({ lines: [a, b].map((item) => ({ ...item, quantity: 1 })) }),
    ),
  );
  const won = outcomes.filter(({ status }) => status === 'ok');
  t.same(new Set(outcomes.map(({ status }) => status)), new Set(['ok', 'insufficient_stock']));
  t.ok(won.length <= UNITS / 2);
  t.same(await countsOf(engine, [a, b]), [
    [UNITS - won.length, won.length, 0],
    [UNITS / 2 - won.length, won.length, 0],
  ]);
  // Some may have been refused while another's units were on their way back; then the rest is still for sale.
  const again = UNITS / 2 - won.length;
  for (let n = 0; n < again; n++)
    done(await engine.reservations.reserve({ lines: [a, b].map((item) => ({ ...item, quantity: 1 })) }));
  t.same(await countsOf(engine, [b]), [[0, UNITS / 2, 0]]);
});

/** Items on as many different partitions, those of two on different shards. */
function spread(size: number): ItemRef[] {
  return size === 2 ? [good[0]!, good[9]!] : good.slice(0, size);
}

function requestOf(items: readonly ItemRef[], whose: 'engine' | 'caller'): ReserveRequest {
  const lines = items.map((item, n) => ({ ...item, quantity: n + 1 }));
  // A home of its own: none of the lines lies there.
  return whose === 'engine' ? { lines } : { reservationId: idIn(HOME, 'mine'), lines };
}

function moved(
  before: readonly (readonly number[])[],
  items: readonly ItemRef[],
  by: (quantity: number, at: number) => readonly number[],
): number[][] {
  return items.map((_, n) => before[n]!.map((count, field) => count + by(n + 1, n)[field]!));
}

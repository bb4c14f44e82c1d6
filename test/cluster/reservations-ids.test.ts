/** One effect an id, identical answers; other content under the same id never succeeds. (S3, S5, S6) */
import t from 'tap';
import type { ItemRef, Outcome, Reservation, ReserveRequest } from '../../engine/types.js';
import {
  answerOf,
  countsOf,
  done,
  idIn,
  itemIn,
  openBench,
  PARTITIONS,
  recordsOf,
  startChild,
  stockUp,
} from './reservations-bench.js';

const bench = await openBench();
const { engine } = bench;
const DUPLICATES = 50;
const UNITS = 1_000;
let made = 0;

/** Fresh items, one in each of the partitions named. */
async function items(partitions: readonly number[]): Promise<ItemRef[]> {
  const tag = `item-${made++}`;
  return Promise.all(
    partitions.map(async (partition) => {
      const item = itemIn(engine, partition, tag);
      await stockUp(engine, item, UNITS);
      return item;
    }),
  );
}

interface Shape {
  readonly name: string;
  readonly home: number;
  readonly partitions: readonly number[];
}

const SHAPES: readonly Shape[] = [
  { name: 'one line at the home of its id', home: 3, partitions: [3] },
  { name: 'one line away from the home of its id', home: 9, partitions: [3] },
  { name: 'two lines on two shards, one of them at the home', home: 1, partitions: [1, 14] },
  { name: 'ten lines on three shards', home: 15, partitions: [0, 2, 4, 5, 6, 8, 10, 11, 12, 13] },
];

async function requestOf({ home, partitions }: Shape): Promise<ReserveRequest & { reservationId: string }> {
  const lines = (await items(partitions)).map((item) => ({ ...item, quantity: 2 }));
  return { reservationId: idIn(home, 'same'), lines, buyerId: 'ada' };
}

function tally(outcomes: readonly Outcome<Reservation>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

for (const shape of SHAPES) {
  t.test(`${DUPLICATES} at once in one process: ${shape.name}`, async (t) => {
    const request = await requestOf(shape);
    const id = request.reservationId;
    const expected = { ok: 1, exists: DUPLICATES - 1 };
    const many = <T>(make: () => Promise<T>) => Promise.all(Array.from({ length: DUPLICATES }, make));
    const held = await many(() => engine.reservations.reserve(request));
    t.same(tally(held), expected, 'one of them did it');
    for (const other of held) t.same(answerOf(other), answerOf(held[0]!));
    t.same(
      await countsOf(engine, request.lines),
      request.lines.map(() => [UNITS - 2, 2, 0]),
    );
    const confirmed = await many(() => engine.reservations.confirm(id));
    t.same(tally(confirmed), expected);
    for (const other of confirmed) t.same(answerOf(other), answerOf(confirmed[0]!));
    t.same(
      await countsOf(engine, request.lines),
      request.lines.map(() => [UNITS - 2, 0, 2]),
    );
    const returned = await many(() => engine.reservations.return(id));
    for (const other of returned) t.equal(done(other).status, 'returned');
    t.same(
      await countsOf(engine, request.lines),
      request.lines.map(() => [UNITS, 0, 0]),
    );
    const late = await engine.reservations.reserve(request);
    t.equal(late.status, 'exists', 'the id stays used');
    t.equal(done(late).status, 'returned');
    t.same(
      await countsOf(engine, request.lines),
      request.lines.map(() => [UNITS, 0, 0]),
    );
  });

  t.test(`${DUPLICATES} at once in two processes: ${shape.name}`, async (t) => {
    const request = await requestOf(shape);
    const child = await startChild(bench);
    const half = DUPLICATES / 2;
    const here = (make: () => Promise<Outcome<Reservation>>) => Promise.all(Array.from({ length: half }, make));
    const [there, mine] = await Promise.all([
      child.order({ method: 'reserve', args: [request], times: half }),
      here(() => engine.reservations.reserve(request)),
    ]);
    const held = [...there!.outcomes, ...mine];
    t.same(tally(held), { ok: 1, exists: DUPLICATES - 1 }, 'one of them did it');
    for (const other of held) t.same(answerOf(other), answerOf(held[0]!));
    t.same(
      await countsOf(engine, request.lines),
      request.lines.map(() => [UNITS - 2, 2, 0]),
    );
    const [released, also] = await Promise.all([
      child.order({ method: 'release', args: [request.reservationId], times: half }),
      here(() => engine.reservations.release(request.reservationId)),
    ]);
    child.end();
    t.same(tally([...released!.outcomes, ...also]), { ok: 1, exists: DUPLICATES - 1 });
    t.same(
      await countsOf(engine, request.lines),
      request.lines.map(() => [UNITS, 0, 0]),
    );
  });
}

t.test('confirm and release at once: one of them decides for all lines, and everybody is told the same', async (t) => {
  for (let round = 0; round < 20; round++) {
    const request = await requestOf(SHAPES[round % SHAPES.length]!);
    const id = done(await engine.reservations.reserve(request)).reservationId;
    const outcomes = await Promise.all([
      ...Array.from({ length: 5 }, () => engine.reservations.confirm(id)),
      ...Array.from({ length: 5 }, () => engine.reservations.release(id)),
    ]);
    const { status } = (await engine.reservations.find(id))!;
    const sold = status === 'confirmed';
    const [losers, refusal] = sold
      ? [outcomes.slice(5), 'reservation_confirmed']
      : [outcomes.slice(0, 5), 'reservation_released'];
    t.same(tally(losers), { [refusal]: 5 });
    t.same(
      await countsOf(engine, request.lines),
      request.lines.map(() => (sold ? [UNITS - 2, 0, 2] : [UNITS, 0, 0])),
    );
  }
});

/** A first use of an id and another one: the second is refused and changes nothing. */
interface Conflict {
  readonly name: string;
  readonly first: readonly number[];
  readonly second: readonly number[];
}

const HOME = 7;
const CONFLICTS: readonly Conflict[] = [
  { name: 'lone, then lone for another item of the same partition', first: [HOME], second: [HOME] },
  { name: 'lone, then claim in another partition', first: [HOME], second: [12] },
  { name: 'lone, then claim with the home among its partitions', first: [HOME], second: [HOME, 12] },
  { name: 'claim, then lone', first: [12], second: [HOME] },
  { name: 'claim with a part at home, then lone', first: [HOME, 12], second: [HOME] },
  { name: 'claim, then claim for another item of the same partition', first: [12], second: [12] },
  { name: 'claim, then claim in another partition', first: [12], second: [2] },
  { name: 'claim, then claim over more', first: [12], second: [12, 2] },
];

for (const { name, first, second } of CONFLICTS)
  for (const state of ['held', 'confirmed', 'released'] as const)
    t.test(`the same id for something else: ${name}; the first is ${state}`, async (t) => {
      const [reservationId, one, two] = [idIn(HOME, 'used'), await items(first), await items(second)];
      const lines = (refs: readonly ItemRef[], quantity: number) => refs.map((ref) => ({ ...ref, quantity }));
      done(await engine.reservations.reserve({ reservationId, lines: lines(one, 3) }));
      if (state === 'confirmed') done(await engine.reservations.confirm(reservationId));
      if (state === 'released') done(await engine.reservations.release(reservationId));
      const before = await countsOf(engine, [...one, ...two]);
      const records = await recordsOf(engine, reservationId);
      const others: ReserveRequest[] = [
        { reservationId, lines: lines(two, 1) },
        { reservationId, lines: lines(one, 4) },
        { reservationId, lines: lines(one, 3), buyerId: 'eve' },
        { reservationId, lines: lines(one, 3), holdSeconds: 77 },
      ];
      for (const other of others) t.same(await engine.reservations.reserve(other), { status: 'id_conflict' });
      t.same(await countsOf(engine, [...one, ...two]), before, 'no units moved');
      t.same(await recordsOf(engine, reservationId), records, 'no record changed');
      t.equal((await engine.reservations.find(reservationId))!.status, state);
      const again = await engine.reservations.reserve({ reservationId, lines: lines(one, 3) });
      t.equal(again.status, 'exists', 'the first content is still welcome');
      t.equal(done(again).status, state);
    });

t.test('two contents under one id at the same moment, all routes: one is held whole, the other refused', async (t) => {
  for (const { first, second } of CONFLICTS)
    for (let round = 0; round < 5; round++) {
      const [reservationId, one, two] = [idIn(HOME, 'race'), await items(first), await items(second)];
      const ask = (refs: readonly ItemRef[]) =>
        engine.reservations.reserve({ reservationId, lines: refs.map((ref) => ({ ...ref, quantity: 1 })) });
      const outcomes = await Promise.all([ask(one), ask(two), ask(one), ask(two)]);
      const winner = outcomes[0].status === 'id_conflict' ? 1 : 0;
      t.same(
        outcomes.map(({ status }) => status === 'id_conflict'),
        [winner === 1, winner === 0, winner === 1, winner === 0],
      );
      t.same(
        await countsOf(engine, one),
        one.map(() => (winner === 0 ? [UNITS - 1, 1, 0] : [UNITS, 0, 0])),
      );
      t.same(
        await countsOf(engine, two),
        two.map(() => (winner === 1 ? [UNITS - 1, 1, 0] : [UNITS, 0, 0])),
      );
    }
});

t.test('an id made by the engine has its home where its first line lies: one record, no claim', async (t) => {
  const [item] = await items([6]);
  const { reservationId } = done(await engine.reservations.reserve({ lines: [{ ...item!, quantity: 1 }] }));
  const { holds, claims } = await recordsOf(engine, reservationId);
  t.equal(holds.length, 1);
  t.equal(claims.length, 0);
  t.equal(engine.partitions.count, PARTITIONS);
});

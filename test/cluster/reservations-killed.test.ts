/**
 * A coordinator that dies (SIGKILL) at any step of the protocol of a reservation over several partitions: units come back after
 * `claim_seconds`, or what was decided is completed; never half. A retry under the same id succeeds. (S5, S9)
 */
import t, { type Test } from 'tap';
import { limits } from '../../engine/scripts/generated/limits.js';
import type { ItemRef, Reservation } from '../../engine/types.js';
import {
  type Bench,
  type Counts,
  countsOf,
  done,
  idIn,
  inChild,
  itemIn,
  openBench,
  recordsOf,
  sleep,
  stockUp,
  sweepAll,
  sweepUntil,
} from './reservations-bench.js';
import type { Order } from './reservations-child.js';

t.jobs = 40;
const bench = await openBench();
const { engine } = bench;
const UNITS = 10;
const QUANTITY = 3;
const CLAIM_MS = limits.claim_seconds * 1_000;
/** Retries wait for an abandoned claim to be old enough. */
const PATIENT = { timeoutMs: 30_000 };

interface Case {
  readonly id: string;
  readonly home: number;
  readonly items: ItemRef[];
  readonly lines: { location: string; sku: string; quantity: number }[];
}

let made = 0;

/** Two lines on two shards under a caller's id; its home is the partition of the first line, or (every other time) neither's. */
async function newCase(on: Bench): Promise<Case> {
  const n = made++;
  const items = await Promise.all(
    [2, 13].map(async (partition) => {
      const item = itemIn(on.engine, partition, `case-${n}`);
      await stockUp(on.engine, item, UNITS);
      return item;
    }),
  );
  const lines = items.map((item) => ({ ...item, quantity: QUANTITY }));
  const home = n % 2 === 0 ? 2 : 8;
  return { id: idIn(home, `case-${n}`), home, items, lines };
}

const FREE: Counts = [UNITS, 0, 0];
const HELD: Counts = [UNITS - QUANTITY, QUANTITY, 0];
const SOLD: Counts = [UNITS - QUANTITY, 0, QUANTITY];
const both = (counts: Counts) => [counts, counts];

/** Where children die: before each of the calls that the order takes when nobody dies, and after the last one. */
async function deaths(prepare: (on: Bench) => Promise<Case>, orderOf: (one: Case) => Order): Promise<Partial<Order>[]> {
  // On keys of its own: what is due of other cases would be swept on the way.
  const quiet = await openBench();
  const report = await inChild(quiet, orderOf(await prepare(quiet)));
  const points: Partial<Order>[] = report!.calls.map((_, n) => ({ dieBefore: n + 1 }));
  return [...points, { dieAfter: report!.calls.length }];
}

interface Script {
  readonly name: string;
  readonly prepare: (on: Bench) => Promise<Case>;
  readonly orderOf: (one: Case) => Order;
  /** Fewest script calls the operation can consist of: fewer, and the deaths are not what they seem. */
  readonly calls: number;
  readonly retried: (t: Test, one: Case) => Promise<void>;
  readonly settled: (t: Test, one: Case) => Promise<void>;
}

function dying({ name, prepare, orderOf, calls, retried, settled }: Script): void {
  t.test(name, async (t) => {
    t.jobs = 40;
    const points = await deaths(prepare, orderOf);
    t.ok(points.length > calls, `${points.length} points of death`);
    await Promise.all(
      points.map((point) => {
        const where = point.dieBefore ? `before call ${point.dieBefore}` : 'after the last call';
        return t.test(`died ${where}`, async (t) => {
          const [one, two] = [await prepare(bench), await prepare(bench)];
          const [first, second] = await Promise.all(
            [one, two].map((it) => inChild(bench, { ...orderOf(it), ...point })),
          );
          t.same([first, second], [undefined, undefined], 'the coordinators are dead');
          await retried(t, one);
          await settled(t, two);
        });
      }),
    );
  });
}

async function heldCase(on: Bench): Promise<Case> {
  const one = await newCase(on);
  done(await on.engine.reservations.reserve({ reservationId: one.id, lines: one.lines }));
  return one;
}

dying({
  name: 'reserve',
  calls: 4,
  prepare: newCase,
  orderOf: ({ id, lines }) => ({ method: 'reserve', args: [{ reservationId: id, lines }] }),
  async retried(t, { id, items, lines }) {
    const again = await engine.reservations.reserve({ reservationId: id, lines }, PATIENT);
    t.equal(done(again).status, 'held', 'a retry holds it');
    t.same(await countsOf(engine, items), both(HELD));
    t.equal(done(await engine.reservations.confirm(id)).status, 'confirmed');
    t.same(await countsOf(engine, items), both(SOLD));
  },
  async settled(t, { id, items, lines }) {
    await complete(id, items);
    const reservation = await engine.reservations.find(id);
    if (reservation) {
      t.equal(reservation.status, 'held', 'sealed: it exists');
      t.same(await countsOf(engine, items), both(HELD));
      return;
    }
    t.same(await countsOf(engine, items), both(FREE), 'nothing of it remains');
    t.same(await recordsOf(engine, id), { holds: [], claims: [] });
    t.equal(done(await engine.reservations.reserve({ reservationId: id, lines }, PATIENT)).status, 'held');
    t.same(await countsOf(engine, items), both(HELD));
  },
});

dying({
  name: 'reserve that is refused',
  calls: 6,
  async prepare(on) {
    const one = await newCase(on);
    await on.engine.stock.adjust(one.items[1]!, { countedTo: 1, reason: 'too few' });
    return one;
  },
  orderOf: ({ id, lines }) => ({ method: 'reserve', args: [{ reservationId: id, lines }] }),
  async retried(t, { id, items, lines }) {
    const again = await engine.reservations.reserve({ reservationId: id, lines }, PATIENT);
    t.match(again, { status: 'insufficient_stock', item: items[1], available: 1 });
    t.same(await countsOf(engine, items), [FREE, [1, 0, 0]]);
  },
  async settled(t, { id, items }) {
    await complete(id, items);
    t.same(await countsOf(engine, items), [FREE, [1, 0, 0]]);
    t.same(await recordsOf(engine, id), { holds: [], claims: [] });
  },
});

for (const [method, end] of [
  ['confirm', SOLD],
  ['release', FREE],
] as const)
  dying({
    name: method,
    calls: 4,
    prepare: heldCase,
    orderOf: ({ id }) => ({ method, args: [id] }),
    async retried(t, { id, items }) {
      const answer = done(await engine.reservations[method](id));
      t.equal(answer.status, method === 'confirm' ? 'confirmed' : 'released');
      t.same(await countsOf(engine, items), both(end), 'a retry completes it at once');
    },
    async settled(t, { id, items }) {
      const { status } = (await engine.reservations.find(id))!;
      await complete(id, items);
      t.equal((await engine.reservations.find(id))!.status, status, 'what was decided stays decided');
      t.same(await countsOf(engine, items), both(status === 'held' ? HELD : end), 'and has been done, or nothing has');
    },
  });

dying({
  name: 'extend',
  calls: 2,
  prepare: heldCase,
  orderOf: ({ id }) => ({ method: 'extend', args: [id, 7_200] }),
  async retried(t, { id, items }) {
    const { expiresAt, now } = done(await engine.reservations.extend(id, 7_200));
    t.ok(expiresAt > now + 7_000_000);
    t.same(await countsOf(engine, items), both(HELD));
  },
  async settled(t, { id, items }) {
    const before = (await engine.reservations.find(id))!;
    await complete(id, items);
    const { now: _, ...after } = (await engine.reservations.find(id))!;
    t.match(before, after, 'the old deadline or the new one, for good');
    t.same(await countsOf(engine, items), both(HELD), 'its parts live as long as it does');
    t.equal(done(await engine.reservations.confirm(id)).status, 'confirmed');
    t.same(await countsOf(engine, items), both(SOLD));
  },
});

dying({
  name: 'return',
  calls: 4,
  async prepare(on) {
    const one = await heldCase(on);
    done(await on.engine.reservations.confirm(one.id));
    return one;
  },
  orderOf: ({ id }) => ({ method: 'return', args: [id] }),
  async retried(t, { id, items }) {
    t.equal(done(await engine.reservations.return(id)).status, 'returned');
    t.same(await countsOf(engine, items), both(FREE));
  },
  async settled(t, { id, items }) {
    // What has come back of each line is a fact of its own: the answer must agree with the counts, and a retry brings the rest.
    await complete(id, items);
    const reservation = (await engine.reservations.find(id))!;
    t.same(await countsOf(engine, items), returnedCounts(reservation, items));
    t.equal(done(await engine.reservations.return(id)).status, 'returned');
    t.same(await countsOf(engine, items), both(FREE));
    t.equal((await engine.reservations.find(id))!.status, 'returned');
  },
});

dying({
  name: 'confirm, and the next one asks to return',
  calls: 4,
  prepare: heldCase,
  orderOf: ({ id }) => ({ method: 'confirm', args: [id] }),
  async retried(t, { id, items }) {
    const confirmed = (await engine.reservations.find(id))!.status === 'confirmed';
    const answer = await engine.reservations.return(id);
    if (!confirmed) return void t.same(answer, { status: 'reservation_held' });
    t.equal(done(answer).status, 'returned', 'what is confirmed can be returned, whoever died');
    t.same(await countsOf(engine, items), both(FREE));
  },
  async settled() {
    // Seen to above.
  },
});

t.test('a hold that expires, and whoever sweeps it dies', async (t) => {
  // Keys of their own: the sweeps of the other tests must not do the work.
  const own = await openBench();
  const HOLD_MS = 1_000;
  const prepare = async () => {
    const one = await newCase(own);
    done(
      await own.engine.reservations.reserve({ reservationId: one.id, lines: one.lines, holdSeconds: HOLD_MS / 1_000 }),
    );
    await sleep(HOLD_MS + 100);
    return one;
  };
  for (let n = 1; ; n++) {
    const one = await prepare();
    const [claim] = (await recordsOf(own.engine, one.id)).claims;
    t.ok(claim, 'a claim');
    const report = await inChild(own, { method: 'sweep', args: [one.home], dieBefore: n });
    await sweepUntil('the units are back', own.engine, async () => {
      const counts = await countsOf(own.engine, one.items);
      return counts.every(([available]) => available === UNITS);
    });
    t.same(await countsOf(own.engine, one.items), both(FREE), `died before call ${n} of the sweep`);
    t.equal((await own.engine.reservations.find(one.id))!.status, 'expired');
    t.equal((await own.engine.reservations.confirm(one.id)).status, 'hold_expired');
    if (!report) continue;
    t.ok(n > 5, `a sweep is ${n - 1} calls`);
    break;
  }
});

/**
 * Sweeps until nothing that a dead process has left is still to be looked at: no claim is pending, no part waits for one, and
 * every part that lives is due with its claim.
 */
async function complete(id: string, items: readonly ItemRef[]): Promise<void> {
  await sleep(CLAIM_MS + 500);
  await sweepUntil(`${id} is settled`, engine, async () => {
    const { holds, claims } = await recordsOf(engine, id);
    const [claim] = claims;
    if (!claim) return holds.length === 0;
    if (claim.state === 'pending') return false;
    return (
      holds.length === items.length && holds.every((hold) => hold.state === claim.state || hold.state === 'returned')
    );
  });
  await sweepAll(engine);
}

function returnedCounts({ lines }: Reservation, items: readonly ItemRef[]): Counts[] {
  return items.map((item) => {
    const { returned } = lines.find((line) => line.sku === item.sku)!;
    return [UNITS - QUANTITY + returned, 0, QUANTITY - returned];
  });
}

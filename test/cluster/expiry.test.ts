/** Expired holds return to sale by themselves, never block a sale, and can never be confirmed. (S7, S9) */
import t from 'tap';
import { openEngine } from '../../engine/index.js';
import type { Engine, ItemRef, Outcome, Reservation } from '../../engine/types.js';
import { openPools } from '../../workers/db/pools.js';
import { verify } from '../../workers/verify/verify.js';
import { atEnd, startStack } from '../harness/index.js';
import { type Counts, countsOf, done, idIn, itemIn, openBench, sleep, stockUp } from './reservations-bench.js';

const HOLDS = 10_000;
const HOLD_SECONDS = 2;
/** Every so many holds somebody tries to confirm, at a moment around the deadline. */
const CONFIRM_EVERY = 4;
const AROUND_MS = 250;
const AT_ONCE = 250;
const UNITS = 20_000;

interface Tried {
  readonly id: string;
  readonly lines: number;
  readonly confirm: Outcome<Reservation> | undefined;
}

t.test(`${HOLDS} holds of ${HOLD_SECONDS} s go back on sale by themselves, and the trail says so`, async (t) => {
  const stack = await startStack({ workers: 1, servers: 0 });
  const engine = await openEngine({ redis: stack.redisUrl, recovery: 'external', timeoutMs: 30_000 });
  atEnd(() => engine.close());
  await engine.ready(60_000);
  const pools = openPools(stack.databaseUrl);
  atEnd(() => pools.end());
  const rows = async <R>(sql: string) => (await pools.general.query(sql)).rows as R[];
  const count = async (sql: string) => Number((await rows<{ n: string }>(`select count(*) as n from ${sql}`))[0]!.n);

  const items = Array.from({ length: 12 }, (_, n) => itemIn(engine, n * 5 + 2, 'fleeting'));
  for (const item of items) await stockUp(engine, item, UNITS);
  const tried = await holdAndTry(engine, items);
  t.equal(tried.length, HOLDS);

  const confirmed = tried.filter(({ confirm }) => confirm?.status === 'ok');
  const late = tried.filter(({ confirm }) => confirm?.status === 'hold_expired');
  t.equal(confirmed.length + late.length, HOLDS / CONFIRM_EVERY, 'each attempt is confirmed or too late, nothing else');
  t.ok(confirmed.length > 0 && late.length > 0, `${confirmed.length} in time, ${late.length} too late`);

  const lines = (of: readonly Tried[]) => of.reduce((sum, one) => sum + one.lines, 0);
  const sold = lines(confirmed);
  await eventually('nothing is reserved', async () => (await totals(engine, items))[1] === 0);
  t.same(await totals(engine, items), [items.length * UNITS - sold, 0, sold]);

  const expiredLines = lines(tried) - sold;
  await eventually('the trail is complete', async () => (await count('movements where kind = 9')) >= expiredLines);
  t.equal(await count(`movement_trail where kind = 'expired'`), expiredLines, 'one movement a line');
  t.equal(await count(`movement_trail where kind = 'confirmed'`), sold);
  t.equal(await count(`movement_trail where kind = 'held'`), lines(tried));
  t.equal(
    await count('(select 1 from movements where kind in (7, 8, 9) group by id, ref having count(*) > 1) as twice'),
    0,
    'every line ends once',
  );
  const own = `movements end_ join movements held on held.id = end_.id and held.ref = end_.ref and held.kind = 5
    where held.attempt = 0`;
  t.equal(
    await count(`${own} and end_.kind = 7 and end_.at >= held.deadline`),
    0,
    'nothing confirmed past its deadline',
  );
  t.equal(await count(`${own} and end_.kind = 9 and end_.at < held.deadline`), 0, 'nothing expired before it');
  const claims = `movements end_ join movements sealed on sealed.id = end_.id and sealed.kind = 31 where true`;
  t.equal(await count(`${claims} and end_.kind = 32 and end_.at >= sealed.deadline`), 0, 'no claim confirmed past it');
  t.equal(
    await count(`${claims} and end_.kind in (35, 9) and end_.at < sealed.deadline`),
    0,
    'no claim expired before it',
  );
  for (const { id } of late.slice(0, 100)) {
    t.equal((await engine.reservations.find(id))!.status, 'expired');
    t.equal((await engine.reservations.confirm(id)).status, 'hold_expired', 'never, however often one asks');
  }
  t.same(await totals(engine, items), [items.length * UNITS - sold, 0, sold]);
  const report = await verify({ partitions: engine.partitions, pool: pools.general });
  t.same(report.problems, []);
  await engine.close();
  await stack.stop();
});

/** Holds one line, two in one partition, or two over shards; some are then confirmed around their deadline. */
async function holdAndTry(engine: Engine, items: readonly ItemRef[]): Promise<Tried[]> {
  const tried: Tried[] = [];
  let next = 0;
  const one = async (n: number): Promise<void> => {
    const wanted = [items[n % items.length]!, items[(n * 7 + 3) % items.length]!].slice(0, n % 8 === 0 ? 2 : 1);
    const lines = wanted.map((item) => ({ ...item, quantity: 1 }));
    const {
      reservationId: id,
      expiresAt,
      now,
      ...held
    } = done(await engine.reservations.reserve({ lines, holdSeconds: HOLD_SECONDS }, { ack: 'executed' }));
    const tries = n % CONFIRM_EVERY === 0;
    void (tries && (await sleep(Math.max(0, expiresAt - now + ((n * 37) % (2 * AROUND_MS)) - AROUND_MS))));
    const confirm = tries ? await engine.reservations.confirm(id, { ack: 'executed' }) : undefined;
    tried.push({ id, lines: held.lines.length, confirm });
  };
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < HOLDS) await one(next++);
    }),
  );
  return tried;
}

async function totals(engine: Engine, items: readonly ItemRef[]): Promise<Counts> {
  const sum = [0, 0, 0] as [number, number, number];
  for (const counts of await countsOf(engine, items)) counts.forEach((value, field) => (sum[field]! += value));
  return sum;
}

async function eventually(what: string, look: () => Promise<boolean>): Promise<void> {
  const LIMIT_MS = 90_000;
  for (const end = Date.now() + LIMIT_MS; !(await look()); await sleep(100))
    if (Date.now() > end) throw new Error(`${what}: not within ${LIMIT_MS} ms`);
}

t.test('no worker runs: an expired hold does not block a sale', async (t) => {
  const { engine } = await openBench();
  const expired = async (items: readonly ItemRef[], reservationId?: string) => {
    const lines = items.map((item) => ({ ...item, quantity: 5 }));
    done(await engine.reservations.reserve({ lines, holdSeconds: 1, reservationId }));
    return items;
  };
  const fresh = async (name: string, partitions: readonly number[]) => {
    const items = partitions.map((partition) => itemIn(engine, partition, name));
    for (const item of items) await stockUp(engine, item, 5);
    return items;
  };
  const [lone] = await expired(await fresh('lone', [3]));
  const [deducted] = await expired(await fresh('deducted', [4]));
  // Parts of claims, which only their home may end: also where the home has nothing to sell.
  const [atHome, away] = await expired(await fresh('claimed', [1, 14]), idIn(1, 'claimed'));
  const [elsewhere] = await expired(await fresh('elsewhere', [13]), idIn(6, 'elsewhere'));
  const [one, two] = await expired(await fresh('both', [2, 12]), idIn(8, 'both'));
  const items = [lone!, deducted!, atHome!, away!, elsewhere!, one!, two!];
  t.same(
    await countsOf(engine, items),
    items.map(() => [0, 5, 0]),
  );
  await sleep(1_200);
  const take = (...wanted: ItemRef[]) =>
    engine.reservations.reserve({ lines: wanted.map((item) => ({ ...item, quantity: 5 })) });
  t.equal((await take(lone!)).status, 'ok', 'a hold of its own');
  t.equal((await engine.stock.deduct(deducted!, { quantity: 5, orderId: 'order-1' })).status, 'ok', 'for a deduction');
  t.equal((await take(away!)).status, 'ok', 'a part away from its home');
  t.equal((await take(atHome!)).status, 'ok', 'a part at its home');
  t.equal((await take(elsewhere!)).status, 'ok', 'the only part, away from its home');
  t.equal((await take(one!, two!)).status, 'ok', 'for a claim over both');
});

t.test('thousands of expired holds are swept by the first who needs a unit', async (t) => {
  const MANY = 3_000;
  const { engine } = await openBench();
  const item = itemIn(engine, 9, 'crowded');
  await stockUp(engine, item, MANY);
  const hold = (holdSeconds: number) =>
    engine.reservations.reserve({ lines: [{ ...item, quantity: 1 }], holdSeconds }, { ack: 'executed' });
  for (const outcome of await Promise.all(Array.from({ length: MANY }, () => hold(1)))) done(outcome);
  t.equal((await hold(60)).status, 'insufficient_stock');
  await sleep(1_200);
  const outcomes = await Promise.all(Array.from({ length: MANY }, () => hold(60)));
  t.equal(outcomes.filter(({ status }) => status === 'ok').length, MANY, 'all of them are for sale again');
  t.same(await countsOf(engine, [item]), [[0, MANY, 0]]);
});

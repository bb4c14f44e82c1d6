/** The whole way of an order: reserved, confirmed, and its rows in Postgres. Open loop. */
import type { Engine, ItemRef } from '../../engine/types.js';
import { type BenchStack, masterPort, stackPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { errorsOf, openLoop, stockUp } from '../lib/engine-load.js';
import { describe, histogram, type Percentiles, percentiles, record } from '../lib/histogram.js';
import { engineOf } from '../lib/server.js';
import { goal, metric } from '../lib/stats.js';
import type { Benchmark, Run } from '../lib/types.js';
import { bullmqOrders } from '../peers/bullmq.js';
import { drained, persistLag, takenUnits } from '../lib/persisted.js';

const RATE = 10_000;
const HOT_ITEMS = 10;
const TAIL_ITEMS = 1_000;
/** Of 100 orders, so many are for the hot items. */
const HOT_SHARE = 80;
const STOCK = 10_000_000;
/** One order of so many asks for `durable`; waiting for Postgres is not part of the others' latency. */
const DURABLE_EVERY = 100;
const DRAIN_MS = 60_000;

interface Measured {
  readonly reserve: Percentiles;
  readonly confirm: Percentiles;
  readonly durable: Percentiles;
  readonly orders: number;
}

export const lifeCycle: Benchmark = {
  name: 'life-cycle',
  title: 'Full life cycle: reserve → confirm → row in Postgres',
  async run(run) {
    const { bed, report, settings, say } = run;
    // The commit time of every row: that is what the lag is measured by.
    const stack = await bed.stack({ servers: 0, workers: 1, postgresSettings: { track_commit_timestamp: 'on' } });
    const engine = await engineOf(stack);
    bed.add(() => engine.close());
    const items = await prepare(engine);
    const seconds = settings.quick ? 5 : 60;
    const rate = settings.quick ? 2_000 : RATE;
    const startedAt = Date.now() + settings.warmupSeconds * 1_000;
    const measured = await orders(run, stack, engine, items, rate, seconds);
    const lag = await audit(run, stack, engine, items, measured.orders, [startedAt, startedAt + seconds * 1_000]);
    say(
      `reserve ${describe(measured.reserve)}; confirm p99 ${measured.confirm.p99.toFixed(2)} ms; persist lag p99 ${lag.p99.toFixed(0)} ms`,
    );
    for (const [key, label] of [
      ['reserve', 'Reserve'],
      ['confirm', 'Confirm'],
      ['durable', 'Confirm with ack durable'],
    ] as const)
      for (const at of ['p50', 'p95', 'p99'] as const)
        metric(report, `${key}-${at}`, `${label}, ${at.toUpperCase()}`, 'ms', [measured[key][at]]);
    const done = measured.reserve.count / seconds;
    metric(report, 'orders', 'Orders, all of them in Postgres at the end', '/s', [done]);
    metric(report, 'lag-p50', 'From the event to the commit of its row, P50', 'ms', [lag.p50]);
    metric(report, 'lag-p99', 'From the event to the commit of its row, P99', 'ms', [lag.p99]);
    goal(report, '≥ 10,000 orders a second for 60 s', settings.quick ? NaN : done, '>=', RATE * 0.999, '/s');
    for (const key of ['reserve', 'confirm'] as const) {
      goal(report, `${key} P95 ≤ 20 ms`, measured[key].p95, '<=', 20, 'ms');
      goal(report, `${key} P99 ≤ 50 ms`, measured[key].p99, '<=', 50, 'ms');
    }
    goal(report, 'persist lag P99 ≤ 1 s', lag.p99, '<=', 1_000, 'ms');
    goal(report, 'durable ack P99 ≤ 100 ms', measured.durable.p99, '<=', 100, 'ms');
    const bull = await bullmqOrders(bed, masterPort(stack.redis!), stack.databaseUrl, settings.seconds);
    report.voids.push(...bull.faults);
    metric(report, 'bullmq', '(f) one BullMQ job an order, one row each', '/s', [bull.rate]);
    Object.assign(report, {
      what:
        `${rate.toLocaleString('en-US')} orders a second arrive for ${seconds} s, whatever becomes of the earlier ones: one line each, ${HOT_SHARE} % of them for ` +
        `${HOT_ITEMS} items and the rest for ${TAIL_ITEMS.toLocaleString('en-US')}, over 64 partitions. Each is reserved and, when that is answered, confirmed, ` +
        `through the engine’s API with ack \`replicated\` (one in ${DURABLE_EVERY} confirms with \`durable\`). Reserve counts from the intended arrival, confirm from ` +
        'the answer to reserve. A worker process persists to Postgres (fsync on) meanwhile. Then every item is counted in Redis and in Postgres.',
    });
  },
};

async function prepare(engine: Engine): Promise<ItemRef[]> {
  const name =
    (kind: string) =>
    (_: unknown, n: number): ItemRef => ({ location: 'main', sku: `${kind}-${n}` });
  const items = [
    ...Array.from({ length: HOT_ITEMS }, name('hot')),
    ...Array.from({ length: TAIL_ITEMS }, name('tail')),
  ];
  await Promise.all(items.map((item) => stockUp(engine, item, STOCK)));
  return items;
}

function pick(items: readonly ItemRef[], n: number): ItemRef {
  return n % 100 < HOT_SHARE ? items[n % HOT_ITEMS]! : items[HOT_ITEMS + ((n * 7) % TAIL_ITEMS)]!;
}

async function orders(
  { report, settings }: Run,
  stack: BenchStack,
  engine: Engine,
  items: readonly ItemRef[],
  rate: number,
  seconds: number,
): Promise<Measured> {
  const [reserve, confirm, durable] = [histogram(), histogram(), histogram()];
  const { reservations } = engine;
  const account = accounting(stackPids(stack));
  const result = await openLoop({
    rate,
    warmupMs: settings.warmupSeconds * 1_000,
    durationMs: seconds * 1_000,
    call: async (n, intended, measured) => {
      const lines = [{ ...pick(items, n), quantity: 1 }];
      const held = await reservations.reserve({ buyerId: `buyer-${n}`, lines }, { ack: 'replicated' });
      const heldAt = performance.now();
      if (measured) record(reserve, heldAt - intended);
      if (!('value' in held)) return false;
      const ack = n % DURABLE_EVERY === 0 ? 'durable' : 'replicated';
      const sold = await reservations.confirm(held.value.reservationId, { ack });
      if (measured) record(ack === 'durable' ? durable : confirm, performance.now() - heldAt);
      if ('ack' in sold && sold.ack !== ack) report.notes.push(`an order reached ${sold.ack} instead of ${ack}`);
      return 'value' in sold;
    },
  });
  report.costs.push(account('an order, reserved, confirmed, persisted', result.all.ok));
  report.voids.push(...errorsOf(result.all));
  if (result.all.refused > 0) report.voids.push(`${result.all.refused} orders were refused`);
  const lesser = report.notes.length;
  if (lesser > 0) {
    report.notes.length = 0;
    report.notes.push(`${lesser} of ${result.all.ok} confirms answered with a narrower ack than was asked for.`);
  }
  return {
    reserve: percentiles(reserve),
    confirm: percentiles(confirm),
    durable: percentiles(durable),
    orders: result.all.ok,
  };
}

/** Redis and Postgres agree on every item, and every order is there. @returns the lag of the events between the two times */
async function audit(
  { report }: Run,
  stack: BenchStack,
  engine: Engine,
  items: readonly ItemRef[],
  done: number,
  between: [number, number],
): Promise<{ p50: number; p99: number }> {
  const late = await drained(engine, DRAIN_MS);
  if (late !== undefined) report.voids.push(late);
  let inRedis = 0;
  let unbalanced = 0;
  let stillHeld = 0;
  for (let at = 0; at < items.length; at += 500)
    for (const level of await engine.stock.check(items.slice(at, at + 500))) {
      inRedis += level!.sold;
      stillHeld += level!.reserved;
      if (level!.available + level!.reserved + level!.sold !== STOCK) unbalanced++;
    }
  if (unbalanced > 0) report.voids.push(`the counts of ${unbalanced} items do not add up`);
  if (stillHeld > 0) report.voids.push(`${stillHeld} units are held by orders that were not confirmed`);
  const inPostgres = await takenUnits(stack.databaseUrl);
  if (inRedis !== done) report.voids.push(`${done} orders were confirmed, Redis has sold ${inRedis}`);
  if (inPostgres.sold !== done)
    report.voids.push(`${done} orders were confirmed, Postgres has sold ${inPostgres.sold}`);
  if (inPostgres.movements !== done)
    report.voids.push(`${done} orders, ${inPostgres.movements} movements of their sale`);
  return persistLag(stack.databaseUrl, between);
}

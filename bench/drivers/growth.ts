/** Whether an operation costs more when there are more items, and when there are more live holds. */
import { randomBytes } from 'node:crypto';
import { openEngine } from '../../engine/index.js';
import type { Engine, ItemRef } from '../../engine/types.js';
import type { RedisCluster } from '../../stack/redis-cluster.js';
import { emptyShard, redisPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { auditItem, closedLoop, errorsOf, stockUp } from '../lib/engine-load.js';
import { goal, median, metric } from '../lib/stats.js';
import type { Benchmark, Cost, Run } from '../lib/types.js';

const CALLERS = 2_048;
const HOT = { location: 'main', sku: 'hot' };
const PER_ITEM = 1_000_000;

interface Sample {
  /** Reservations a second. */
  readonly rate: number;
  /** CPU of Redis and engine together, µs a reservation. */
  readonly cost: number;
  readonly account: Cost;
}

export const growth: Benchmark = {
  name: 'growth',
  title: 'Cost of a reservation as items and live holds grow',
  async run(run) {
    const { bed, report, settings, say } = run;
    const cluster = await bed.redis(0);
    const sizes = settings.quick ? [1_000, 10_000] : [1_000, 10_000, 100_000, 1_000_000];
    const items = await grow(run, sizes, (size) => withItems(run, cluster, size));
    const holds = await grow(run, sizes, (size) => withHolds(run, cluster, size));
    for (const [name, label, found] of [
      ['items', 'items', items],
      ['holds', 'live holds', holds],
    ] as const)
      for (const [size, samples] of found) {
        const costs = samples.map(({ cost }) => cost);
        const text = `CPU a reservation with ${size.toLocaleString('en-US')} ${label}`;
        metric(report, `${name}-${size}`, text, 'µs', costs);
        report.costs.push(samples.at(-1)!.account);
        say(`${text}: ${median(costs).toFixed(1)} µs`);
      }
    const ratio = (found: Map<number, Sample[]>): number => {
      const costs = [...found.values()].map((samples) => median(samples.map(({ cost }) => cost)));
      return costs.at(-1)! / costs[0]!;
    };
    const [least, most] = [sizes[0]!, sizes.at(-1)!].map((size) => size.toLocaleString('en-US'));
    goal(report, `cost with ${most} items ≤ 1.3 × that with ${least}`, ratio(items), '<=', 1.3, '×');
    goal(report, `cost with ${most} live holds ≤ 1.3 × that with ${least}`, ratio(holds), '<=', 1.3, '×');
    Object.assign(report, {
      what:
        `${CALLERS} callers, ack \`executed\`, one shard of 64 partitions. Items: every reservation takes one unit of an item chosen at ` +
        'random among all. Holds: every reservation takes one unit of the same item, on which so many holds are live already. ' +
        'The cost is the CPU time of Redis and of the engine’s process together, measured over the same number of seconds.',
    });
  },
};

async function grow(
  { settings }: Run,
  sizes: readonly number[],
  measure: (size: number) => Promise<Sample>,
): Promise<Map<number, Sample[]>> {
  const found = new Map<number, Sample[]>(sizes.map((size) => [size, []]));
  for (let round = 0; round < settings.rounds; round++)
    for (const size of sizes) found.get(size)!.push(await measure(size));
  return found;
}

async function withItems(run: Run, cluster: RedisCluster, size: number): Promise<Sample> {
  return withEngine(cluster, async (engine) => {
    const items = Array.from({ length: size }, (_, n): ItemRef => ({ location: 'main', sku: `item-${n}` }));
    await inParallel(items, async (item) => {
      await engine.stock.configure(item, {});
      await engine.stock.restock(item, { quantity: PER_ITEM, movementId: 'start' });
    });
    const sample = await reserve(run, cluster, engine, (n) => items[scatter(n) % size]!, `${size} items`);
    return sample;
  });
}

async function withHolds(run: Run, cluster: RedisCluster, size: number): Promise<Sample> {
  return withEngine(cluster, async (engine) => {
    const stocked = 20_000_000;
    await stockUp(engine, HOT, stocked);
    await inParallel(Array.from({ length: size }), async () => {
      await engine.reservations.reserve({ buyerId: 'before', lines: [{ ...HOT, quantity: 1 }] });
    });
    const sample = await reserve(run, cluster, engine, () => HOT, `${size} live holds`);
    run.report.voids.push(...(await auditItem(engine, HOT, { stocked, taken: size + sample.ok })));
    return sample;
  });
}

async function withEngine<T>(cluster: RedisCluster, work: (engine: Engine) => Promise<T>): Promise<T> {
  const prefix = `b${randomBytes(4).toString('hex')}`;
  const engine = await openEngine({ redis: cluster.url, prefix, ack: 'executed', timeoutMs: 30_000 });
  try {
    await engine.ready();
    return await work(engine);
  } finally {
    await engine.close();
    await emptyShard(cluster);
  }
}

async function inParallel<T>(inputs: readonly T[], work: (input: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < inputs.length) await work(inputs[next++]!);
  };
  await Promise.all(Array.from({ length: CALLERS }, worker));
}

/** Spreads consecutive numbers evenly and without a pattern. */
function scatter(n: number): number {
  return Math.imul(n ^ (n >>> 15), 0x2c1b3c6d) >>> 0;
}

async function reserve(
  { settings, report }: Run,
  cluster: RedisCluster,
  engine: Engine,
  pick: (n: number) => ItemRef,
  what: string,
): Promise<Sample & { ok: number }> {
  let end: ReturnType<typeof accounting> | undefined;
  let account: Cost | undefined;
  const result = await closedLoop({
    callers: CALLERS,
    warmupMs: settings.warmupSeconds * 1_000,
    durationMs: Math.min(settings.seconds, 4) * 1_000,
    onStart: () => (end = accounting({ redis: redisPids(cluster).redis! })),
    onEnd: (measured) => (account = end?.(`reserve with ${what}`, measured)),
    call: async (n) => {
      const lines = [{ ...pick(n), quantity: 1 }];
      return (await engine.reservations.reserve({ buyerId: `buyer-${n % 1_000_000}`, lines })).status === 'ok';
    },
  });
  report.voids.push(...errorsOf(result.all));
  if (result.all.refused > 0) report.voids.push(`${what}: ${result.all.refused} reservations were refused`);
  const { redis = 0, bench = 0 } = account!.parts;
  return { rate: result.rate, cost: redis + bench, account: account!, ok: result.all.ok };
}

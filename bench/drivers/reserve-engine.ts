/**
 * Reserve on one hot item through the engine's API, one shard; beside it, in turns, what a team would build instead.
 */
import { randomBytes } from 'node:crypto';
import { openEngine } from '../../engine/index.js';
import type { Ack } from '../../engine/types.js';
import type { RedisCluster } from '../../stack/redis-cluster.js';
import { masterPort, emptyShard, redisPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { auditItem, closedLoop, errorsOf, stockUp } from '../lib/engine-load.js';
import { percentiles } from '../lib/histogram.js';
import { goal, interleave, median, metric, ratios, type Variant } from '../lib/stats.js';
import type { Benchmark, Cost, Run } from '../lib/types.js';
import { hasRedisBenchmark, naive } from '../peers/naive.js';
import { prepareLock, type LockPeer } from '../peers/lock-then-database.js';
import { hasPgbench, preparePgRow, preparePgUnits, type PgPeer } from '../peers/postgres-rows.js';

const CALLERS = 2_048;
const STOCKED = 20_000_000;
const ITEM = { location: 'main', sku: 'hot' };

interface Sample {
  readonly rate: number;
  readonly p99?: number;
  readonly cost?: Cost;
}

export const reserveEngine: Benchmark = {
  name: 'reserve-engine',
  title: 'Reserve on one hot item (engine API, one shard)',
  async run(run) {
    const { bed, report, settings, say } = run;
    const cluster = await bed.redis();
    const postgres = await bed.postgres();
    const lock = await prepareLock(cluster, postgres);
    bed.add(() => lock.close());
    const variants: Variant<Sample>[] = [
      { name: 'executed', measure: () => reserve(run, cluster, 'executed') },
      ...naiveVariants(run, cluster),
      { name: 'replicated', measure: () => reserve(run, cluster, 'replicated') },
      ...(await postgresVariants(run, postgres)),
      { name: 'lock', measure: () => lockBest(run, lock) },
    ];
    const results = await interleave(settings.rounds, variants, say, ({ rate }) => `${Math.round(rate)}/s`);
    summarise(run, results);
    Object.assign(report, {
      what:
        `${CALLERS} callers in one process reserve one unit each of the same item, as fast as they are answered; one Redis ` +
        'master with one replica, AOF on. The peers ran in turns with it, on the same servers: redis-benchmark with 50 ' +
        'connections and a script of one item a call; a lock in Redis around a row of Postgres; one row of Postgres; a row a unit.',
    });
  },
};

function naiveVariants({ settings, report }: Run, cluster: RedisCluster): Variant<Sample>[] {
  if (!hasRedisBenchmark()) {
    report.skipped.push('peer (a): redis-benchmark is not installed');
    return [];
  }
  const requests = (perSecond: number) => Math.round(perSecond * settings.seconds);
  const variant = (name: string, pipeline: number, count: number): Variant<Sample> => ({
    name,
    measure: async () => {
      await naive(masterPort(cluster), pipeline, Math.round(count / 4));
      const { rate, faults } = await naive(masterPort(cluster), pipeline, count);
      report.voids.push(...faults);
      await emptyShard(cluster);
      return { rate };
    },
  });
  return [variant('naive', 1, requests(25_000)), variant('naive-pipelined', 32, requests(50_000))];
}

async function postgresVariants(
  { settings, report }: Run,
  postgres: Parameters<typeof preparePgRow>[0],
): Promise<Variant<Sample>[]> {
  if (!hasPgbench()) {
    report.skipped.push('peers (c) and (d): pgbench is not installed (Debian: postgresql-contrib)');
    return [];
  }
  const variant = (name: string, peer: PgPeer): Variant<Sample> => ({
    name,
    measure: async () => {
      const { rate, faults } = await peer.best(settings.seconds);
      report.voids.push(...faults);
      return { rate };
    },
  });
  return [
    variant('postgres-row', await preparePgRow(postgres)),
    variant('postgres-units', await preparePgUnits(postgres, settings.quick ? 20_000 : 400_000)),
  ];
}

async function lockBest({ settings, report }: Run, lock: LockPeer): Promise<Sample> {
  const { rate, faults } = await lock.best(settings.seconds);
  report.voids.push(...faults);
  return { rate };
}

/** One measurement with keys of its own, checked and cleared away afterwards. */
async function reserve({ settings, report }: Run, cluster: RedisCluster, ack: Ack): Promise<Sample> {
  const prefix = `b${randomBytes(4).toString('hex')}`;
  const engine = await openEngine({ redis: cluster.url, prefix, ack, timeoutMs: 10_000 });
  try {
    await engine.ready();
    await stockUp(engine, ITEM, STOCKED);
    let endAccount: ReturnType<typeof accounting> | undefined;
    let cost: Cost | undefined;
    const result = await closedLoop({
      callers: CALLERS,
      warmupMs: settings.warmupSeconds * 1_000,
      durationMs: settings.seconds * 1_000,
      onStart: () => (endAccount = accounting({ ...redisPids(cluster) })),
      onEnd: (measured) => (cost = endAccount?.(`reserve, ${ack}`, measured)),
      call: async (n) => {
        const request = { buyerId: `buyer-${n % 1_000_000}`, lines: [{ ...ITEM, quantity: 1 }] };
        const outcome = await engine.reservations.reserve(request);
        return outcome.status === 'ok';
      },
    });
    report.voids.push(...errorsOf(result.all));
    if (result.all.refused > 0) report.voids.push(`${result.all.refused} reservations were refused`);
    report.voids.push(...(await auditItem(engine, ITEM, { stocked: STOCKED, taken: result.all.ok })));
    return { rate: result.rate, p99: percentiles(result.latency).p99, cost };
  } finally {
    await engine.close();
    await emptyShard(cluster);
  }
}

const LABELS: Readonly<Record<string, string>> = {
  executed: 'Holdfast, ack executed',
  replicated: 'Holdfast, ack replicated',
  naive: '(a) one script call a request, 50 connections',
  'naive-pipelined': '(a) the same, pipeline 32',
  'postgres-row': '(c) one row of Postgres',
  'postgres-units': '(d) a row a unit, SKIP LOCKED',
  lock: '(b) lock in Redis, then a row of Postgres',
};

function summarise({ report }: Run, results: Map<string, Sample[]>): void {
  const rates = new Map([...results].map(([name, samples]) => [name, samples.map(({ rate }) => rate)]));
  for (const [name, label] of Object.entries(LABELS)) {
    const measured = rates.get(name);
    if (measured) metric(report, name, label, '/s', measured);
  }
  const p99s = (results.get('replicated') ?? []).map(({ p99 }) => p99 ?? NaN);
  metric(report, 'replicated-p99', `P99 with ${CALLERS} callers, replicated`, 'ms', p99s);
  for (const name of ['executed', 'replicated']) {
    const cost = results.get(name)?.at(-1)?.cost;
    if (cost) report.costs.push(cost);
  }
  const against = (peer: string, factor: number, text: string): void => {
    const [ours, theirs] = [rates.get('executed'), rates.get(peer)];
    if (ours && theirs) goal(report, text, median(ratios(ours, theirs)), '>=', factor, '×');
  };
  against('naive', 4, '≥ 4 × (a) unpipelined');
  against('naive-pipelined', 2, '≥ 2 × (a) at pipeline 32');
  against('postgres-row', 50, '≥ 50 × (c)');
  against('lock', 100, '≥ 100 × (b)');
}

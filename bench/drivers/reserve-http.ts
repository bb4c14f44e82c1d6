/** Reserve over HTTP, one server process: how many a second, and how long one takes at half of that. */
import type { BenchStack } from '../lib/bed.js';
import { stackPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { auditItem, stockUp } from '../lib/engine-load.js';
import { accepted, capacity, generate, latencyOf, sum } from '../lib/http-load.js';
import { engineOf, HOST, reserveRequest } from '../lib/server.js';
import { goal, median, metric } from '../lib/stats.js';
import type { Benchmark, Run } from '../lib/types.js';
import type { Engine } from '../../engine/types.js';

const ITEM = { location: 'main', sku: 'hot' };
const STOCKED = 30_000_000;
const CONNECTIONS = 256;

export const reserveHttp: Benchmark = {
  name: 'reserve-http',
  title: 'Reserve over HTTP (one server process)',
  async run(run) {
    const { bed, report, settings, say } = run;
    // The goal is the server's: what Postgres and a worker add to it on the same cores is `life-cycle`'s subject.
    const stack = await bed.stack({ workers: 0, env: { HOLDFAST_DATABASE_URL: '' } });
    const engine = await engineOf(stack);
    bed.add(() => engine.close());
    await stockUp(engine, ITEM, STOCKED);
    let taken = 0;
    let slack = 0;
    const rates: number[] = [];
    const p99AtCapacity: number[] = [];
    const half = { p50: [] as number[], p95: [] as number[], p99: [] as number[] };
    for (let round = 0; round < settings.rounds; round++) {
      const full = await atCapacity(run, stack);
      taken += full.accepted;
      // wrk does not count what is under way when it ends, once after its warm-up and once at the end.
      if (full.generator === 'wrk') slack += 2 * CONNECTIONS;
      rates.push(full.rate);
      p99AtCapacity.push(full.p99);
      const rate = full.rate / 2;
      const result = await generate({
        host: HOST,
        port: stack.port,
        connections: CONNECTIONS,
        requests: [reserveRequest(stack, ITEM)],
        rate,
        warmupMs: settings.warmupSeconds * 1_000,
        durationMs: settings.seconds * 1_000,
      });
      taken += accepted(result.all);
      const failed = sum(result.all) - accepted(result.all) + result.unsent;
      if (failed > 0) report.voids.push(`${failed} of ${sum(result.all)} requests at half of capacity failed`);
      const latency = latencyOf(result.accepted);
      for (const key of ['p50', 'p95', 'p99'] as const) half[key].push(latency[key]);
      say(
        `round ${round + 1}: ${Math.round(full.rate)}/s (${full.generator}); at ${Math.round(rate)}/s p99 ${latency.p99.toFixed(2)} ms`,
      );
    }
    report.voids.push(...(await auditItem(engine, ITEM, { stocked: STOCKED, taken, slack })));
    metric(report, 'capacity', `Capacity, ${CONNECTIONS} connections`, '/s', rates);
    metric(report, 'capacity-p99', 'P99 at capacity (closed loop)', 'ms', p99AtCapacity);
    for (const key of ['p50', 'p95', 'p99'] as const)
      metric(report, `half-${key}`, `${key.toUpperCase()} at half of capacity (open loop)`, 'ms', half[key]);
    goal(report, '≥ 40,000 reservations a second', median(rates), '>=', 40_000, '/s');
    goal(report, 'P99 ≤ 10 ms at half of capacity', median(half.p99), '<=', 10, 'ms');
    Object.assign(report, {
      what:
        `Every request reserves one unit of the same item with ack \`replicated\` and is a reservation of its own. ` +
        `Capacity by closed loop over ${CONNECTIONS} connections; latency by open loop at half of that rate, from the intended arrival.`,
    });
  },
};

export async function atCapacity({ report, settings }: Run, stack: BenchStack) {
  const account = accounting(stackPids(stack));
  const full = await capacity({
    host: HOST,
    port: stack.port,
    request: reserveRequest(stack, ITEM),
    connections: CONNECTIONS,
    warmupSeconds: settings.warmupSeconds,
    seconds: settings.seconds,
  });
  const cost = account(`reserve over HTTP, load from ${full.generator}`, full.accepted);
  if (report.costs.length > 0) report.costs.pop();
  report.costs.push(cost);
  if (full.errors > 0) report.voids.push(`${full.errors} requests failed at capacity`);
  return full;
}

export async function prepareHot(stack: BenchStack): Promise<Engine> {
  const engine = await engineOf(stack);
  await stockUp(engine, ITEM, STOCKED);
  return engine;
}

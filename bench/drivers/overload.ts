/** Five times what fits: what is accepted keeps its pace, the rest is refused at once. (G4) */
import { stackPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { auditItem, stockUp } from '../lib/engine-load.js';
import { accepted, generate, latencyOf, sum } from '../lib/http-load.js';
import { engineOf, HOST, reserveRequest } from '../lib/server.js';
import { goal, median, metric } from '../lib/stats.js';
import type { Benchmark } from '../lib/types.js';

const ITEM = { location: 'main', sku: 'hot' };
const STOCKED = 30_000_000;
const CONNECTIONS = 256;
const MORE_CONNECTIONS = 2_048;
const TIMES = 5;
const EXPECTED = new Set(['200', '201', '503']);

export const overload: Benchmark = {
  name: 'overload',
  title: `Overload: ${TIMES} × capacity offered over HTTP`,
  async run({ bed, report, settings, say }) {
    const stack = await bed.stack({ workers: 0, env: { HOLDFAST_DATABASE_URL: '' } });
    const engine = await engineOf(stack);
    bed.add(() => engine.close());
    await stockUp(engine, ITEM, STOCKED);
    const request = reserveRequest(stack, ITEM);
    const base = {
      host: HOST,
      port: stack.port,
      requests: [request],
      warmupMs: settings.warmupSeconds * 1_000,
      durationMs: settings.seconds * 1_000,
    };
    const found = { capacity: [] as number[], p99: [] as number[], offered: [] as number[], kept: [] as number[] };
    const under = { p99: [] as number[], refusedP99: [] as number[], share: [] as number[] };
    let taken = 0;
    for (let round = 0; round < settings.rounds; round++) {
      const full = await generate({ ...base, connections: CONNECTIONS });
      const rate = accepted(full.statuses) / full.seconds;
      const end = accounting(stackPids(stack));
      const flood = await generate({ ...base, connections: MORE_CONNECTIONS, rate: rate * TIMES });
      if (round === settings.rounds - 1) report.costs.push(end('an answer under overload', sum(flood.all)));
      taken += accepted(full.all) + accepted(flood.all);
      const others = Object.keys({ ...full.all, ...flood.all }).filter((status) => !EXPECTED.has(status));
      if (others.length > 0) report.voids.push(`answers that are neither 201 nor 503: ${others.join(', ')}`);
      if (flood.withoutRetryAfter > 0) report.voids.push(`${flood.withoutRetryAfter} refusals without Retry-After`);
      const kept = accepted(flood.statuses) / flood.seconds;
      found.capacity.push(rate);
      found.p99.push(latencyOf(full.accepted).p99);
      found.offered.push(sum(flood.statuses) / flood.seconds);
      found.kept.push(kept);
      under.p99.push(latencyOf(flood.accepted).p99);
      under.refusedP99.push(latencyOf(flood.refused).p99);
      under.share.push(kept / rate);
      say(
        `round ${round + 1}: capacity ${Math.round(rate)}/s; offered ${Math.round(rate * TIMES)}/s, answered ` +
          `${Math.round(found.offered.at(-1)!)}/s, accepted ${Math.round(kept)}/s, p99 ${under.p99.at(-1)!.toFixed(1)} ms`,
      );
    }
    report.voids.push(...(await auditItem(engine, ITEM, { stocked: STOCKED, taken })));
    metric(report, 'capacity', `Capacity with this generator, ${CONNECTIONS} connections`, '/s', found.capacity);
    metric(report, 'capacity-p99', 'P99 at capacity', 'ms', found.p99);
    metric(report, 'answered', `Answers a second when ${TIMES} × as many arrive`, '/s', found.offered);
    metric(report, 'accepted', 'Accepted of them', '/s', found.kept);
    metric(report, 'accepted-p99', 'P99 of the accepted, from their intended arrival', 'ms', under.p99);
    metric(report, 'refused-p99', 'P99 of the refusals, from their intended arrival', 'ms', under.refusedP99);
    goal(report, 'accepted ≥ 0.9 × capacity', median(under.share), '>=', 0.9, '×');
    goal(report, 'P99 of the accepted ≤ 2 × that at capacity', median(under.p99) / median(found.p99), '<=', 2, '×');
    Object.assign(report, {
      what:
        `Capacity by closed loop over ${CONNECTIONS} connections, then an open loop of ${TIMES} times that rate over ${MORE_CONNECTIONS}, ` +
        'from the same generator on the same cores as the server. Latency counts from the intended arrival, waiting for the generator included.',
    });
  },
};

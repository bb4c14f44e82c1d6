/** More than fits: what is accepted keeps its pace, the rest is refused at once. (G4) */
import type { Engine } from '../../engine/types.js';
import { type BenchStack, stackPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { auditItem, stockUp } from '../lib/engine-load.js';
import { accepted, capacity, generate, hasWrk, latencyOf } from '../lib/http-load.js';
import { answersOf, engineOf, HOST, reserveRequest } from '../lib/server.js';
import { goal, median, metric, sleep } from '../lib/stats.js';
import type { Benchmark, Run } from '../lib/types.js';

const ITEM = { location: 'main', sku: 'hot' };
const STOCKED = 30_000_000;
/** Closed loop: enough to keep the server busy, few enough that it refuses nobody. */
const FITTING = 256;
/** Everyone who is refused asks again at once: as much as the machine can offer. */
const FLOOD = 2_048;
/** Requests a second whose latency is measured, by open loop, beside the load. */
const PROBES = 300;
const PROBE_CONNECTIONS = 128;
const PATH = '/v1/reservations';

interface Sample {
  /** Answers a second, refusals included. */
  readonly answered: number;
  readonly accepted: number;
  readonly p99: number;
  readonly refusedP99: number;
}

export const overload: Benchmark = {
  name: 'overload',
  title: 'Overload: several times the capacity offered over HTTP',
  async run(run) {
    const { bed, report, settings, say } = run;
    if (!hasWrk()) {
      report.skipped.push('overload: it takes wrk to offer several times what the server can do from the same machine');
      return;
    }
    const stack = await bed.stack({ workers: 0, env: { HOLDFAST_DATABASE_URL: '' } });
    const engine = await engineOf(stack);
    bed.add(() => engine.close());
    await stockUp(engine, ITEM, STOCKED);
    const full: Sample[] = [];
    const flood: Sample[] = [];
    for (let round = 0; round < settings.rounds; round++) {
      full.push(await measure(run, stack, engine, FITTING));
      const end = accounting(stackPids(stack));
      flood.push(await measure(run, stack, engine, FLOOD));
      if (round === settings.rounds - 1)
        report.costs.push(end('an answer under overload', flood.at(-1)!.answered * settings.seconds));
      const [a, b] = [full.at(-1)!, flood.at(-1)!];
      say(
        `round ${round + 1}: capacity ${Math.round(a.accepted)}/s, p99 ${a.p99.toFixed(1)} ms; offered ${Math.round(b.answered)}/s: ` +
          `accepted ${Math.round(b.accepted)}/s, p99 ${b.p99.toFixed(1)} ms, refused p99 ${b.refusedP99.toFixed(1)} ms`,
      );
    }
    await audit(run, stack, engine);
    summarise(run, full, flood);
  },
};

async function measure(
  { settings, report }: Run,
  stack: BenchStack,
  engine: Engine,
  connections: number,
): Promise<Sample> {
  const request = reserveRequest(stack, ITEM);
  const { warmupSeconds, seconds } = settings;
  const base = { host: HOST, port: stack.port };
  const load = capacity({ ...base, request, connections, warmupSeconds, seconds });
  // wrk runs once for its warm-up and once to be measured.
  await sleep(warmupSeconds * 1_000 + 500);
  const [probe, rate] = await Promise.all([
    generate({
      ...base,
      connections: PROBE_CONNECTIONS,
      requests: [request],
      rate: PROBES,
      warmupMs: 500,
      durationMs: (seconds - 1) * 1_000,
    }),
    takenPerSecond(engine, (seconds - 1) * 1_000),
  ]);
  const result = await load;
  if (probe.withoutRetryAfter > 0) report.voids.push(`${probe.withoutRetryAfter} refusals without Retry-After`);
  if (accepted(probe.statuses) === 0) report.notes.push('no probe was accepted');
  return {
    answered: result.rate + PROBES,
    accepted: rate,
    p99: latencyOf(probe.accepted).p99,
    refusedP99: latencyOf(probe.refused).p99,
  };
}

/** How fast units are really taken. */
async function takenPerSecond(engine: Engine, ms: number): Promise<number> {
  const look = async (): Promise<{ at: number; taken: number }> => {
    const [level] = await engine.stock.check([ITEM]);
    return { at: performance.now(), taken: level!.reserved };
  };
  const before = await look();
  await sleep(ms);
  const after = await look();
  return (after.taken - before.taken) / ((after.at - before.at) / 1_000);
}

/** The server's own count of its answers: what wrk cuts off at its end has no other witness. */
async function audit({ report }: Run, stack: BenchStack, engine: Engine): Promise<void> {
  const answers = await answersOf(stack, PATH);
  const held = answers.get('201') ?? 0;
  const cutOff = answers.get('0') ?? 0;
  for (const status of answers.keys())
    if (!['201', '503', '0'].includes(status)) report.voids.push(`${answers.get(status)} answers ${status}`);
  report.voids.push(...(await auditItem(engine, ITEM, { stocked: STOCKED, taken: held, slack: cutOff })));
}

function summarise({ report }: Run, full: readonly Sample[], flood: readonly Sample[]): void {
  const of = (samples: readonly Sample[], key: keyof Sample): number[] => samples.map((sample) => sample[key]);
  metric(report, 'capacity', `Capacity, ${FITTING} connections`, '/s', of(full, 'accepted'));
  metric(report, 'capacity-p99', 'P99 at capacity', 'ms', of(full, 'p99'));
  metric(
    report,
    'offered',
    `Offered by ${FLOOD.toLocaleString('en-US')} connections that ask again at once`,
    '/s',
    of(flood, 'answered'),
  );
  metric(report, 'accepted', 'Accepted of them', '/s', of(flood, 'accepted'));
  metric(report, 'accepted-p99', 'P99 of the accepted', 'ms', of(flood, 'p99'));
  metric(report, 'refused-p99', 'P99 of the refusals', 'ms', of(flood, 'refusedP99'));
  const shares = flood.map((sample, round) => sample.accepted / full[round]!.accepted);
  const offers = flood.map((sample, round) => sample.answered / full[round]!.accepted);
  metric(report, 'times', 'Offered ÷ capacity', '×', offers);
  goal(report, 'offered ≥ 5 × capacity', median(offers), '>=', 5, '×');
  goal(report, 'accepted ≥ 0.9 × capacity', median(shares), '>=', 0.9, '×');
  const slower = flood.map((sample, round) => sample.p99 / full[round]!.p99);
  goal(report, 'P99 of the accepted ≤ 2 × that at capacity', median(slower), '<=', 2, '×');
  Object.assign(report, {
    what:
      `Reservations of one item over HTTP, one server process. Load by wrk in closed loop: first over ${FITTING} connections, which is the capacity, then over ` +
      `${FLOOD.toLocaleString('en-US')}, each of which asks again as soon as it is refused. Beside it ${PROBES} requests a second by open loop, whose latency is what is ` +
      'reported. What is accepted is counted in the stock. The load generators share the cores with the server: what they offer above the capacity takes CPU from it.',
  });
}

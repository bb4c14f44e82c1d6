/** Reads from the client's local replica while the store changes 10,000 times a second. */
import { stackPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { errorsOf, openLoop, stockUp } from '../lib/engine-load.js';
import { latencyOf, runProgram } from '../lib/http-load.js';
import type { ReaderOptions, ReaderResult } from '../lib/replica-reader.js';
import { engineOf } from '../lib/server.js';
import { goal, median, metric } from '../lib/stats.js';
import type { Benchmark } from '../lib/types.js';

const ITEMS = 1_000;
const CHANGES = 10_000;
const LOCATION = 'main';
/** The reader is started first; it needs a moment to connect and subscribe. */
const SETTLE_MS = 1_000;

export const replica: Benchmark = {
  name: 'replica',
  title: 'Reads from the client’s local replica',
  async run({ bed, report, settings, say }) {
    const stack = await bed.stack({ workers: 0, env: { HOLDFAST_DATABASE_URL: '' } });
    const engine = await engineOf(stack);
    bed.add(() => engine.close());
    const skus = Array.from({ length: ITEMS }, (_, n) => `item-${n}`);
    await Promise.all(skus.map((sku) => stockUp(engine, { location: LOCATION, sku }, 1_000_000)));
    const found = { reads: [] as number[], changes: [] as number[], arrival: [] as number[], bound: [] as number[] };
    for (let round = 0; round < settings.rounds; round++) {
      const times = { warmupMs: settings.warmupSeconds * 1_000 + SETTLE_MS, durationMs: settings.seconds * 1_000 };
      const account = accounting(stackPids(stack));
      const [result, load] = await Promise.all([
        runProgram<ReaderOptions, ReaderResult>('replica-reader', {
          url: stack.url,
          token: stack.authorization.replace('Bearer ', ''),
          location: LOCATION,
          skus,
          ...times,
        }),
        openLoop({
          rate: CHANGES,
          warmupMs: 0,
          durationMs: times.warmupMs + times.durationMs + SETTLE_MS,
          call: async (n) => {
            const lines = [{ location: LOCATION, sku: skus[(n * 7) % ITEMS]!, quantity: 1 }];
            return (await engine.reservations.reserve({ buyerId: `buyer-${n}`, lines })).status === 'ok';
          },
        }),
      ]);
      if (round === settings.rounds - 1) report.costs.push(account('a change, with all reads', load.all.ok));
      report.voids.push(...errorsOf(load.all));
      if (load.all.refused > 0) report.voids.push(`${load.all.refused} changes were refused`);
      if (result.unknown > 0) report.voids.push(`${result.unknown} reads found nothing`);
      found.reads.push(result.reads / result.seconds);
      found.changes.push(load.all.ok / ((times.warmupMs + times.durationMs + SETTLE_MS) / 1_000));
      found.arrival.push(latencyOf(result.arrival).p99);
      found.bound.push(latencyOf(result.bound).p99);
      say(
        `round ${round + 1}: ${Math.round(result.reads / result.seconds)} reads/s, change heard p99 ${found.arrival.at(-1)!.toFixed(0)} ms`,
      );
    }
    metric(report, 'reads', 'Reads of one process', '/s', found.reads);
    metric(report, 'changes', 'Changes made meanwhile', '/s', found.changes);
    metric(report, 'arrival-p99', 'From a change to its arrival in the replica, P99', 'ms', found.arrival);
    metric(report, 'bound-p99', 'Age of what was read as the replica bounds it, P99', 'ms', found.bound);
    goal(report, '≥ 10,000,000 reads a second', median(found.reads), '>=', 10_000_000, '/s');
    goal(
      report,
      `staleness P99 ≤ 50 ms at ${CHANGES.toLocaleString('en-US')} changes a second`,
      median(found.arrival),
      '<=',
      50,
      'ms',
    );
    Object.assign(report, {
      what:
        `A process subscribes to ${ITEMS.toLocaleString('en-US')} items through the client and reads them in turn without a pause but for its connection; ` +
        `${CHANGES.toLocaleString('en-US')} reservations a second (open loop) change them. Staleness is the store’s time of the change, by the same clock, against its arrival.`,
    });
  },
};

/** Over the MessagePack WebSocket: reservations, and stock of 100 items a request. One server process. */
import { stackPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { auditItem, stockUp } from '../lib/engine-load.js';
import { latencyOf, runProgram, sum } from '../lib/http-load.js';
import { engineOf } from '../lib/server.js';
import { goal, interleave, median, metric } from '../lib/stats.js';
import type { StreamOptions, StreamResult } from '../lib/stream-generator.js';
import type { Benchmark } from '../lib/types.js';

const STOCKED = 30_000_000;
const BATCH = 100;
const LOCATION = 'main';

const SHAPES = {
  reserve: { connections: 4, frames: 8, requestsPerFrame: 64 },
  stock: { connections: 2, frames: 4, requestsPerFrame: 8 },
};

export const stream: Benchmark = {
  name: 'stream',
  title: 'Over the stream (MessagePack WebSocket, one server process)',
  async run({ bed, report, settings, say }) {
    const stack = await bed.stack({ workers: 0, env: { HOLDFAST_DATABASE_URL: '' } });
    const engine = await engineOf(stack);
    bed.add(() => engine.close());
    const skus = Array.from({ length: BATCH }, (_, n) => `item-${n}`);
    const hot = { location: LOCATION, sku: skus[0]! };
    await Promise.all(skus.slice(1).map((sku) => stockUp(engine, { location: LOCATION, sku }, 1_000_000)));
    await stockUp(engine, hot, STOCKED);
    let taken = 0;
    const measure = (operation: 'reserve' | 'stock') => async () => {
      const account = accounting(stackPids(stack));
      const result = await runProgram<StreamOptions, StreamResult>('stream-generator', {
        url: `${stack.url.replace('http', 'ws')}/v1/stream`,
        token: stack.authorization.replace('Bearer ', ''),
        ...SHAPES[operation],
        items: skus.map((sku) => `${LOCATION}:${sku}`),
        operation,
        warmupMs: settings.warmupSeconds * 1_000,
        durationMs: settings.seconds * 1_000,
      });
      if (operation === 'reserve') taken += result.done;
      if (sum(result.failed) > 0) report.voids.push(`${operation}: ${JSON.stringify(result.failed)}`);
      const what = operation === 'reserve' ? 'reserve over the stream' : `stock of ${BATCH} items over the stream`;
      return {
        rate: result.answers / result.seconds,
        p99: latencyOf(result.latency).p99,
        cost: account(what, result.done),
      };
    };
    const variants = (['reserve', 'stock'] as const).map((name) => ({ name, measure: measure(name) }));
    const describe = ({ rate, p99 }: { rate: number; p99: number }): string =>
      `${Math.round(rate)} requests/s, p99 of a frame ${p99.toFixed(1)} ms`;
    const results = await interleave(settings.rounds, variants, say, describe);
    report.voids.push(...(await auditItem(engine, hot, { stocked: STOCKED, taken })));
    const reserve = results.get('reserve')!;
    const stock = results.get('stock')!;
    const answers = stock.map(({ rate }) => rate * BATCH);
    metric(
      report,
      'reserve',
      'Reservations',
      '/s',
      reserve.map(({ rate }) => rate),
    );
    metric(
      report,
      'reserve-p99',
      `P99 of a frame of ${SHAPES.reserve.requestsPerFrame} (closed loop)`,
      'ms',
      reserve.map(({ p99 }) => p99),
    );
    metric(report, 'stock', `Stock, ${BATCH} items a request`, 'items/s', answers);
    report.costs.push(reserve.at(-1)!.cost, stock.at(-1)!.cost);
    goal(report, '≥ 100,000 reservations a second', median(reserve.map(({ rate }) => rate)), '>=', 100_000, '/s');
    goal(report, '≥ 5,000,000 stock answers a second', median(answers), '>=', 5_000_000, 'items/s');
    Object.assign(report, {
      what:
        `Reserve: ${SHAPES.reserve.connections} connections with ${SHAPES.reserve.frames} frames of ${SHAPES.reserve.requestsPerFrame} requests under way, one unit of the same item each, ` +
        `ack \`replicated\`. Stock: ${SHAPES.stock.connections} connections, frames of ${SHAPES.stock.requestsPerFrame} requests for ${BATCH} items. Every answer is decoded.`,
    });
  },
};

/** One GET of one item from the near cache, beside the least a server on the same library can do. */
import { stackPids } from '../lib/bed.js';
import { startChild } from '../lib/child.js';
import { accounting } from '../lib/cpu.js';
import { stockUp } from '../lib/engine-load.js';
import { capacity } from '../lib/http-load.js';
import { engineOf, get, HOST } from '../lib/server.js';
import { goal, interleave, median, metric, ratios } from '../lib/stats.js';
import type { Benchmark } from '../lib/types.js';

const ITEM = { location: 'main', sku: 'hot' };
const CONNECTIONS = 64;

export const getOne: Benchmark = {
  name: 'get-one',
  title: 'GET of one item (near cache)',
  async run({ bed, report, settings, say }) {
    const stack = await bed.stack({ workers: 0, env: { HOLDFAST_DATABASE_URL: '' } });
    const engine = await engineOf(stack);
    await stockUp(engine, ITEM, 1_000);
    await engine.close();
    const hello = await startChild(bed, 'peers/hello-uws');
    const measure = (what: string, port: number, path: string, pids: Record<string, number[]>) => async () => {
      const account = accounting(pids);
      const { warmupSeconds, seconds } = settings;
      const request = get(path);
      const result = await capacity({ host: HOST, port, request, connections: CONNECTIONS, warmupSeconds, seconds });
      const cost = account(`${what}, load from ${result.generator}`, result.accepted);
      if (result.errors > 0) report.voids.push(`${what}: ${result.errors} requests failed`);
      return { ...result, cost };
    };
    const path = `/v1/stock/${ITEM.location}/${ITEM.sku}`;
    const results = await interleave(
      settings.rounds,
      [
        { name: 'holdfast', measure: measure('GET /v1/stock', stack.port, path, stackPids(stack)) },
        { name: 'hello', measure: measure('hello world', Number(hello.said), '/', { server: [hello.pid] }) },
      ],
      say,
      ({ rate, p99 }) => `${Math.round(rate)}/s, p99 ${p99.toFixed(2)} ms`,
    );
    const [ours, theirs] = ['holdfast', 'hello'].map((name) => results.get(name)!);
    const rates = ours!.map(({ rate }) => rate);
    const helloRates = theirs!.map(({ rate }) => rate);
    metric(report, 'get', 'Holdfast, GET /v1/stock/{location}/{sku}', '/s', rates);
    metric(report, 'hello', '(e) uWebSockets.js, hello world', '/s', helloRates);
    metric(
      report,
      'get-p99',
      'P99 at capacity (closed loop)',
      'ms',
      ours!.map(({ p99 }) => p99),
    );
    metric(report, 'ratio', 'Holdfast ÷ (e)', '×', ratios(rates, helloRates));
    report.costs.push(ours!.at(-1)!.cost, theirs!.at(-1)!.cost);
    goal(report, '≥ 0.85 × (e)', median(ratios(rates, helloRates)), '>=', 0.85, '×');
    Object.assign(report, {
      what: `${CONNECTIONS} connections ask one server process for the same item; then the same load against a server that answers "Hello world!".`,
    });
  },
};

/** 100 items in one request: answers a second of one server process, in JSON and in MessagePack. */
import { pack } from 'msgpackr';
import type { Engine, ItemRef } from '../../engine/types.js';
import { stackPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { capacity } from '../lib/http-load.js';
import type { PreparedRequest } from '../lib/raw-http.js';
import { engineOf, get, HOST } from '../lib/server.js';
import { goal, interleave, median, metric } from '../lib/stats.js';
import type { Benchmark } from '../lib/types.js';

const BATCH = 100;
const ITEMS = 1_000;
const CONNECTIONS = 32;

interface Form {
  readonly name: string;
  readonly label: string;
  readonly request: PreparedRequest;
}

export const getBatch: Benchmark = {
  name: 'get-batch',
  title: `Stock of ${BATCH} items in one request (one server process)`,
  async run({ bed, report, settings, say }) {
    const stack = await bed.stack({ workers: 0, env: { HOLDFAST_DATABASE_URL: '' } });
    const engine = await engineOf(stack);
    const items = Array.from({ length: ITEMS }, (_, n): ItemRef => ({ location: 'main', sku: `item-${n}` }));
    await prepare(engine, items);
    await engine.close();
    const asked = items.slice(0, BATCH);
    const results = await interleave(
      settings.rounds,
      forms(asked).map(({ name, label, request }) => ({
        name,
        measure: async () => {
          const account = accounting(stackPids(stack));
          const { warmupSeconds, seconds } = settings;
          const result = await capacity({
            host: HOST,
            port: stack.port,
            request,
            connections: CONNECTIONS,
            warmupSeconds,
            seconds,
          });
          const cost = account(`${label}, a request, load from ${result.generator}`, result.accepted);
          if (result.errors > 0) report.voids.push(`${label}: ${result.errors} requests failed`);
          return { rate: result.rate * BATCH, p99: result.p99, cost };
        },
      })),
      say,
      ({ rate }) => `${Math.round(rate)} items/s`,
    );
    for (const { name, label } of forms(asked)) {
      const samples = results.get(name)!;
      metric(
        report,
        name,
        label,
        'items/s',
        samples.map(({ rate }) => rate),
      );
      report.costs.push(samples.at(-1)!.cost);
    }
    const rateOf = (name: string): number => median(results.get(name)!.map(({ rate }) => rate));
    goal(report, '≥ 5,000,000 answers a second in MessagePack', rateOf('msgpack'), '>=', 5_000_000, 'items/s');
    goal(
      report,
      '≥ 3,500,000 answers a second in JSON',
      Math.max(rateOf('json'), rateOf('json-get')),
      '>=',
      3_500_000,
      'items/s',
    );
    Object.assign(report, {
      what: `${CONNECTIONS} connections ask for the same ${BATCH} items of ${ITEMS}; an answer is the stock of one item.`,
    });
  },
};

async function prepare(engine: Engine, items: readonly ItemRef[]): Promise<void> {
  await Promise.all(
    items.map(async (item) => {
      await engine.stock.configure(item, {});
      await engine.stock.restock(item, { quantity: 1_000, reason: 'bench' });
    }),
  );
}

function forms(items: readonly ItemRef[]): Form[] {
  const query = { items: items.map(({ location, sku }) => [location, sku]) };
  const list = items.map(({ location, sku }) => `${location}:${sku}`).join(',');
  const packed = pack(query).toString('latin1');
  const msgpack = { 'Content-Type': 'application/msgpack', Accept: 'application/msgpack' };
  return [
    {
      name: 'msgpack',
      label: 'MessagePack, POST /v1/stock/query',
      request: { method: 'POST', path: '/v1/stock/query', headers: msgpack, body: packed },
    },
    {
      name: 'json',
      label: 'JSON, POST /v1/stock/query',
      request: {
        method: 'POST',
        path: '/v1/stock/query',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(query),
      },
    },
    { name: 'json-get', label: 'JSON, GET /v1/stock?items=', request: get(`/v1/stock?items=${list}`) },
  ];
}

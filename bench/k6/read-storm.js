// Everybody looks, nobody buys yet: single reads and product pages of 100 items, at a rate that does not wait for answers.
//   RATE reads a second (5000), PAGES pages a second (500), ITEMS (1000), DURATION (30s)
import http from 'k6/http';
import { BASE, LOCATION, SAFETY, audit, broken, headers, needToken, newRun, number, staleMs, stockUp } from './lib.js';

const ITEMS = number('ITEMS', 1000);
const STOCK = 100;
const duration = __ENV.DURATION || '30s';
const sku = (run, n) => `${run}-${n}`;

export const options = {
  setupTimeout: '5m',
  scenarios: {
    looks: {
      executor: 'constant-arrival-rate',
      exec: 'look',
      rate: number('RATE', 5000),
      timeUnit: '1s',
      duration,
      preAllocatedVUs: 200,
      maxVUs: 2000,
    },
    pages: {
      executor: 'constant-arrival-rate',
      exec: 'page',
      rate: number('PAGES', 500),
      timeUnit: '1s',
      duration,
      preAllocatedVUs: 50,
      maxVUs: 500,
    },
  },
  thresholds: {
    ...SAFETY,
    'http_req_duration{name:look}': ['p(95)<20', 'p(99)<50'],
    'http_req_duration{name:page}': ['p(95)<50', 'p(99)<100'],
    holdfast_stale_ms: ['p(99)<1000'],
    dropped_iterations: ['count==0'],
  },
};

export function setup() {
  needToken();
  const run = newRun();
  for (let n = 0; n < ITEMS; n++) stockUp(sku(run, n), STOCK);
  return { run };
}

export function look({ run }) {
  const item = sku(run, Math.floor(Math.random() * ITEMS));
  const answer = http.get(`${BASE}/v1/stock/${LOCATION}/${item}`, { headers: headers(), tags: { name: 'look' } });
  broken.add(answer.status !== 200);
  if (answer.status === 200 && Math.random() < 0.01) staleMs.add(answer.json('staleMs'));
}

export function page({ run }) {
  const from = Math.floor(Math.random() * ITEMS);
  const items = Array.from({ length: 100 }, (_, n) => [LOCATION, sku(run, (from + n) % ITEMS)]);
  const answer = http.post(`${BASE}/v1/stock/query`, JSON.stringify({ items }), {
    headers: headers(),
    tags: { name: 'page' },
  });
  broken.add(answer.status !== 200);
}

export function teardown({ run }) {
  for (let n = 0; n < ITEMS; n += 100) audit(sku(run, n), STOCK);
}

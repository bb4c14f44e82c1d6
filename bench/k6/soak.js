// Hours of an ordinary day: reads, orders, abandoned holds that expire, and items that are restocked. Watch memory and lag meanwhile.
//   RATE orders a second (100), READS a second (1000), DURATION (1h), ITEMS (100)
import exec from 'k6/execution';
import http from 'k6/http';
import { sleep } from 'k6';
import {
  BASE,
  LOCATION,
  SAFETY,
  audit,
  broken,
  change,
  headers,
  needToken,
  newRun,
  number,
  reserve,
  stockUp,
} from './lib.js';

const ITEMS = number('ITEMS', 100);
const STOCK = 1000000;
const duration = __ENV.DURATION || '1h';
const sku = (run, n) => `${run}-${n}`;
const any = (run) => sku(run, Math.floor(Math.random() * ITEMS));
const HOLD_SECONDS = 30;

export const options = {
  setupTimeout: '5m',
  teardownTimeout: '5m',
  scenarios: {
    orders: {
      executor: 'constant-arrival-rate',
      exec: 'order',
      rate: number('RATE', 100),
      timeUnit: '1s',
      duration,
      preAllocatedVUs: 50,
      maxVUs: 1000,
    },
    reads: {
      executor: 'constant-arrival-rate',
      exec: 'look',
      rate: number('READS', 1000),
      timeUnit: '1s',
      duration,
      preAllocatedVUs: 50,
      maxVUs: 1000,
    },
    audits: {
      executor: 'constant-arrival-rate',
      exec: 'auditOne',
      rate: 1,
      timeUnit: '1s',
      duration,
      preAllocatedVUs: 2,
    },
  },
  thresholds: {
    ...SAFETY,
    'http_req_duration{name:reserve}': ['p(95)<100', 'p(99)<200'],
    'http_req_duration{name:look}': ['p(95)<20', 'p(99)<50'],
  },
};

export function setup() {
  needToken();
  const run = newRun();
  for (let n = 0; n < ITEMS; n++) stockUp(sku(run, n), STOCK);
  return { run };
}

export function order({ run }) {
  const id = reserve(any(run), `buyer-${exec.scenario.iterationInTest}`, HOLD_SECONDS);
  if (id === undefined) return;
  const what = Math.random();
  if (what < 0.7) change(id, 'confirm');
  else if (what < 0.9) change(id, 'release');
  // The others leave: their holds expire by themselves.
}

export function look({ run }) {
  const answer = http.get(`${BASE}/v1/stock/${LOCATION}/${any(run)}`, { headers: headers(), tags: { name: 'look' } });
  broken.add(answer.status !== 200);
}

export function auditOne({ run }) {
  audit(any(run), STOCK);
}

export function teardown({ run }) {
  // Abandoned holds have to come back.
  sleep(HOLD_SECONDS + 15);
  for (let n = 0; n < ITEMS; n++) audit(sku(run, n), STOCK);
}

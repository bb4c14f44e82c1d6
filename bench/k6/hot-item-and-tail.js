// A shop during a sale: most orders are for one item, the rest for a long tail; baskets of several lines among them.
//   RATE orders a second (1000), HOT share in percent (70), ITEMS of the tail (500), DURATION (60s)
import exec from 'k6/execution';
import http from 'k6/http';
import {
  BASE,
  LOCATION,
  SAFETY,
  audit,
  broken,
  change,
  headers,
  held,
  needToken,
  newRun,
  number,
  refusals,
  reserve,
  stockUp,
} from './lib.js';

const ITEMS = number('ITEMS', 500);
const HOT = number('HOT', 70) / 100;
const RATE = number('RATE', 1000);
const STOCK = 1000000;
const hot = (run) => `${run}-hot`;
const tail = (run, n) => `${run}-tail-${n}`;
/** Of the orders for the tail, so many have several lines. */
const BASKETS = 0.2;

export const options = {
  setupTimeout: '5m',
  scenarios: {
    orders: {
      executor: 'constant-arrival-rate',
      rate: RATE,
      timeUnit: '1s',
      duration: __ENV.DURATION || '60s',
      preAllocatedVUs: 200,
      maxVUs: 2000,
    },
  },
  thresholds: {
    ...SAFETY,
    'http_req_duration{name:reserve}': ['p(95)<100', 'p(99)<200'],
    'http_req_duration{name:basket}': ['p(95)<100', 'p(99)<200'],
    'http_req_duration{name:confirm}': ['p(95)<100', 'p(99)<200'],
    dropped_iterations: ['count==0'],
  },
};

export function setup() {
  needToken();
  const run = newRun();
  stockUp(hot(run), STOCK);
  for (let n = 0; n < ITEMS; n++) stockUp(tail(run, n), STOCK);
  return { run };
}

function basket(run, buyer) {
  const first = Math.floor(Math.random() * ITEMS);
  const lines = [0, 1, 2].map((n) => ({ location: LOCATION, sku: tail(run, (first + n) % ITEMS), quantity: 1 + n }));
  const body = JSON.stringify({ lines, buyerId: buyer });
  const answer = http.post(`${BASE}/v1/reservations`, body, { headers: headers(), tags: { name: 'basket' } });
  const refused = answer.status === 409 || answer.status === 429 || answer.status === 503;
  broken.add(answer.status !== 201 && answer.status !== 202 && !refused);
  if (refused) refusals.add(1);
  if (answer.status !== 201) return undefined;
  held.add(1);
  return answer.json('reservationId');
}

export default function ({ run }) {
  const buyer = `buyer-${exec.scenario.iterationInTest}`;
  const forHot = Math.random() < HOT;
  const id = forHot
    ? reserve(hot(run), buyer)
    : Math.random() < BASKETS
      ? basket(run, buyer)
      : reserve(tail(run, Math.floor(Math.random() * ITEMS)), buyer);
  if (id !== undefined) change(id, 'confirm');
}

export function teardown({ run }) {
  audit(hot(run), STOCK);
  for (let n = 0; n < ITEMS; n++) audit(tail(run, n), STOCK);
}

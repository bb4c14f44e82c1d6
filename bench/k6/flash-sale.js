// One item, few units, a wave of buyers: they look, they reserve, some pay, some let go. Units that are let go are sold again.
//   STOCK units (2000), RATE buyers a second at the peak (2000), DURATION of the peak (20s)
import exec from 'k6/execution';
import { SAFETY, audit, change, lost, needToken, newRun, number, oversold, reserve, stockUp } from './lib.js';

const STOCK = number('STOCK', 2000);
const RATE = number('RATE', 2000);
/** Of those who hold a unit, so many pay. */
const PAY = 0.9;

export const options = {
  scenarios: {
    sale: {
      executor: 'ramping-arrival-rate',
      startRate: Math.ceil(RATE / 10),
      timeUnit: '1s',
      preAllocatedVUs: 300,
      maxVUs: 3000,
      stages: [
        { target: RATE, duration: '2s' },
        { target: RATE, duration: __ENV.DURATION || '20s' },
        { target: 0, duration: '3s' },
      ],
    },
  },
  thresholds: {
    ...SAFETY,
    'http_req_duration{name:reserve}': ['p(95)<100', 'p(99)<200'],
    'http_req_duration{name:confirm}': ['p(95)<100', 'p(99)<200'],
    dropped_iterations: ['count==0'],
  },
};

export function setup() {
  needToken();
  const sku = `${newRun()}-flash`;
  stockUp(sku, STOCK);
  return { sku };
}

export default function ({ sku }) {
  const id = reserve(sku, `buyer-${exec.scenario.iterationInTest}`);
  if (id === undefined) return;
  change(id, Math.random() < PAY ? 'confirm' : 'release');
}

export function teardown({ sku }) {
  const counts = audit(sku, STOCK);
  if (counts === undefined) return;
  // Nobody holds anything any more: everything is sold or on sale.
  lost.add(counts.reserved);
  oversold.add(Math.max(0, counts.sold - STOCK));
  console.log(`sold ${counts.sold} of ${STOCK}, ${counts.available} left`);
}

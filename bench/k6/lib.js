// What the scripts share: where the deployment is, tokens, set-up of items, and the count that decides whether anything was oversold.
import http from 'k6/http';
import { check, fail } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';

export const BASE = (__ENV.BASE_URL || 'http://127.0.0.1:8080').replace(/\/$/, '');
export const TOKEN = __ENV.TOKEN || '';
export const LOCATION = __ENV.LOCATION || 'k6';
/** Names the items of one run, apart from those of the last. Called once, by setup: every virtual user has a clock of its own. */
export const newRun = () => __ENV.RUN || `r${Date.now().toString(36)}`;

/** Units more than there were: any above 0 fails the run. */
export const oversold = new Counter('holdfast_oversold');
/** Units that were acknowledged and are not there: any above 0 fails the run. */
export const lost = new Counter('holdfast_lost');
/** Answers that are neither what was asked for nor a refusal. */
export const broken = new Rate('holdfast_broken');
export const refusals = new Counter('holdfast_refusals');
export const held = new Counter('holdfast_held');
export const confirmed = new Counter('holdfast_confirmed');
export const staleMs = new Trend('holdfast_stale_ms');

export const SAFETY = {
  holdfast_oversold: ['count==0'],
  holdfast_lost: ['count==0'],
  holdfast_broken: ['rate==0'],
};

const JSON_HEADERS = { 'Content-Type': 'application/json' };
export const headers = () => (TOKEN ? { ...JSON_HEADERS, Authorization: `Bearer ${TOKEN}` } : JSON_HEADERS);

export const number = (name, fallback) => Number(__ENV[name] || fallback);

/** Refusals of a sale that goes as it should. */
const REFUSED = new Set([409, 410, 429, 503]);

export function needToken() {
  if (!TOKEN) fail('TOKEN is not set. For a local stack: TOKEN=$(./holdfast token --role admin --sub k6)');
}

/** Makes an item with so many units on sale. */
export function stockUp(sku, quantity) {
  const url = `${BASE}/v1/stock/${LOCATION}/${sku}`;
  const options = { headers: headers(), tags: { name: 'setup' } };
  const made = http.put(url, '{}', options);
  if (made.status !== 200 && made.status !== 201) fail(`PUT ${url}: ${made.status} ${made.body}`);
  for (let left = quantity; left > 0; left -= 1000000) {
    const body = JSON.stringify({ quantity: Math.min(left, 1000000), reason: 'k6' });
    const stocked = http.post(`${url}/restock`, body, options);
    if (stocked.status !== 200) fail(`POST ${url}/restock: ${stocked.status} ${stocked.body}`);
  }
}

/** One unit, or undefined where it was refused. */
export function reserve(sku, buyer, holdSeconds = 600) {
  const body = JSON.stringify({ lines: [{ location: LOCATION, sku, quantity: 1 }], buyerId: buyer, holdSeconds });
  const answer = http.post(`${BASE}/v1/reservations`, body, { headers: headers(), tags: { name: 'reserve' } });
  const ok = answer.status === 201 || answer.status === 202;
  broken.add(!ok && !REFUSED.has(answer.status));
  if (ok) held.add(1, { sku });
  else if (REFUSED.has(answer.status)) refusals.add(1);
  return ok ? answer.json('reservationId') : undefined;
}

export function change(id, verb) {
  const answer = http.post(`${BASE}/v1/reservations/${id}/${verb}`, '{}', { headers: headers(), tags: { name: verb } });
  const ok = answer.status === 200 || answer.status === 202;
  broken.add(!ok && !REFUSED.has(answer.status));
  if (ok && verb === 'confirm') confirmed.add(1, { sku: 'any' });
  return ok;
}

/** Reads one item as the store has it, and counts what is wrong with it. */
export function audit(sku, stocked) {
  const answer = http.get(`${BASE}/v1/stock/${LOCATION}/${sku}?fresh=true`, {
    headers: headers(),
    tags: { name: 'audit' },
  });
  if (!check(answer, { 'audit is answered': ({ status }) => status === 200 })) {
    lost.add(1);
    return undefined;
  }
  const { available, reserved, sold } = answer.json();
  const sum = available + reserved + sold;
  oversold.add(Math.max(0, sum - stocked) + Math.max(0, -available) + Math.max(0, reserved + sold - stocked));
  lost.add(Math.max(0, stocked - sum));
  return { available, reserved, sold };
}

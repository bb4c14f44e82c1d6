/** What a lease on an idempotency key is worth when its holder comes back after it was over. Two processes, as two of everything. */
import { pino } from 'pino';
import t from 'tap';
import { openEngine } from '../../engine/index.js';
import { crc16 } from '../../engine/partitions.js';
import type { Encoded, Exchange } from '../../server/http/exchange.js';
import { Idempotency, type Turn } from '../../server/idempotency/idempotency.js';
import { fingerprintOf, reservationIdOf, scopeHash } from '../../server/idempotency/key.js';
import { IdempotencyStore } from '../../server/idempotency/store.js';
import { testCluster } from '../harness/index.js';
import { fresh } from './support.js';

const SILENT = pino({ level: 'silent' });
const BODY = Buffer.from('{"lines":[{"location":"main","sku":"lamp","quantity":1}]}');
const LEASE_MS = 30;

async function processes() {
  const { url, prefix } = await testCluster();
  // Its recovery loads the scripts.
  const engine = await openEngine({ redis: url, prefix });
  t.teardown(() => engine.close());
  await engine.ready();
  const start = () => {
    const store = new IdempotencyStore(url, prefix, () => undefined, LEASE_MS);
    t.teardown(() => store.close());
    return new Idempotency(store, SILENT);
  };
  return { a: start(), b: start(), c: start() };
}

/** As much of a request as matters here. */
function request(key: string): Exchange {
  return {
    idempotencyKey: key,
    who: { sub: 'b-1', role: 'buyer' },
    route: { method: 'post' },
    url: '/v1/reservations',
    contentType: 'application/json',
    query: '',
    requestId: 'test',
  } as unknown as Exchange;
}

const answer = (status: number, text: string): Encoded => ({
  status,
  type: 'application/json',
  bytes: text,
  headers: [],
  retryAfter: undefined,
});
const textOf = ({ bytes }: Encoded): string => Buffer.from(bytes as Buffer).toString();

async function turnOf(at: Idempotency, key: string): Promise<Turn> {
  const found = await at.take(request(key), BODY, () => undefined);
  if ('replay' in found) throw new Error(`answered already: ${textOf(found.replay)}`);
  return found;
}

async function replayOf(at: Idempotency, key: string): Promise<string> {
  const found = await at.take(request(key), BODY, () => undefined);
  if (!('replay' in found)) throw new Error('there is no answer');
  return textOf(found.replay);
}

void t.test('one that comes back late leaves the answer of the other alone, and gives it', async (t) => {
  const { a, b, c } = await processes();
  const key = fresh('key');
  const late = await turnOf(a, key);
  // Waits until the lease is over.
  const next = await turnOf(b, key);
  t.equal(next.changeId, late.changeId, 'both carry it out under one id');
  t.equal(textOf(await next.settle(answer(201, 'held'))), 'held');
  const given = await late.settle(answer(409, 'refused'));
  t.equal(textOf(given), 'held', 'its own client hears the same');
  t.equal(given.status, 201);
  t.same([a.counts.overtaken, b.counts.overtaken, b.counts.takeovers], [1, 0, 1]);
  t.equal(await replayOf(c, key), 'held');
  t.equal(await replayOf(a, key), 'held');
});

void t.test('nor does it remove the record of the other, or give it up', async (t) => {
  const { a, b, c } = await processes();
  for (const status of [400, 503]) {
    const key = fresh('key');
    const late = await turnOf(a, key);
    const next = await turnOf(b, key);
    const told = await late.settle(answer(status, 'mine')).catch((error: unknown) => error);
    t.match(told, { kind: { code: 'idempotency_in_flight' } });
    t.equal(textOf(await next.settle(answer(201, 'held'))), 'held');
    t.equal(await replayOf(c, key), 'held', `${status}: the other's answer is there`);
  }
});

void t.test('of many that find a lease over one takes it', async (t) => {
  const { a, b, c } = await processes();
  const key = fresh('key');
  await turnOf(a, key);
  const found = await Promise.allSettled([turnOf(b, key), turnOf(c, key)]);
  const turns = found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  t.ok(turns.length >= 1);
  for (const turn of turns) await turn.settle(answer(201, 'held')).catch(() => undefined);
  t.equal(await replayOf(a, key).catch(() => 'mine'), 'mine', 'the first has not ended yet');
  t.equal(await replayOf(b, key), 'held');
});

void t.test('the id of a reservation follows from key and content, and is at home where its stock lies', async (t) => {
  const hash = (key: string) => scopeHash({ sub: 's', role: 'buyer', method: 'post', url: '/v1/reservations', key });
  const content = (text: string) => fingerprintOf('application/json', '', Buffer.from(text));
  const ids = new Set<string>();
  for (let n = 0; n < 2_000; n++) {
    const id = reservationIdOf(hash(`k${n}`), content('x'), n % 64, 64);
    t.ok(/^[A-Za-z0-9_-]{20}$/.test(id) && (crc16(id) & 63) === n % 64);
    t.equal(reservationIdOf(hash(`k${n}`), content('x'), n % 64, 64), id);
    ids.add(id).add(reservationIdOf(hash(`k${n}`), content('y'), n % 64, 64));
  }
  t.equal(ids.size, 4_000, 'another key or content: another id');
});

void t.test('two that carry the same request out make one reservation', async (t) => {
  const { url, prefix } = await testCluster();
  const engine = await openEngine({ redis: url, prefix });
  t.teardown(() => engine.close());
  await engine.ready();
  const item = { location: 'main', sku: fresh('sku') };
  await engine.stock.configure(item, {});
  await engine.stock.restock(item, { quantity: 5, movementId: fresh('m') });
  const hash = scopeHash({ sub: 's', role: 'buyer', method: 'post', url: '/v1/reservations', key: fresh('key') });
  const partition = engine.partitions.of(item);
  const reserve = () => {
    const reservationId = reservationIdOf(hash, fingerprintOf('', '', BODY), partition, engine.partitions.count);
    return engine.reservations.reserve({ reservationId, lines: [{ ...item, quantity: 2 }] });
  };
  const [one, two] = await Promise.all([reserve(), reserve()]);
  t.same([one.status, two.status].sort(), ['exists', 'ok']);
});

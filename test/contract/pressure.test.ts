/**
 * Back-pressure on the whole system (FAULTS 10, 19, 25): Postgres away under load, memory nearly full and full, a process that
 * stands still. New holds are refused, what was begun is ended, and everything opens again by itself.
 */
import t from 'tap';
import { withAdmin } from '../../stack/redis-form.js';
import { startStack } from '../harness/index.js';
import { Client, fresh, type Reply } from './support.js';

const LOG_EVENTS = 300;
const PARTITIONS = 4;
const LOOP_MS = 400;
/** For a condition to come true; it is looked at, never slept for. */
const PATIENCE_MS = 60_000;

const stack = await startStack({
  redis: { masters: 1, replicasPerMaster: 0 },
  env: {
    HOLDFAST_PARTITIONS: String(PARTITIONS),
    HOLDFAST_MAX_LOG_EVENTS: String(LOG_EVENTS),
    HOLDFAST_MAX_LOOP_DELAY_MS: String(LOOP_MS),
    HOLDFAST_SOLD_OUT_MS: '0',
  },
});
const client = await new Client(stack.url, stack.jwtSecret).load();
const [node] = stack.redis!.nodes;
const config = (name: string, value: string) => withAdmin(node!.port, (redis) => redis.config('SET', name, value));

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`did not come about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const reserve = (sku: string, headers: Record<string, string> = {}): Promise<Reply> =>
  client.call('POST', '/v1/reservations', {
    as: 'service',
    body: { lines: [{ location: 'a', sku, quantity: 1 }] },
    headers,
  });
const act = (id: string, name: string, headers: Record<string, string> = {}): Promise<Reply> =>
  client.call('POST', `/v1/reservations/${id}/${name}`, { as: 'service', body: {}, headers });
const held = async (sku: string): Promise<string> => {
  const reply = await reserve(sku);
  if (reply.status !== 201) throw new Error(`${reply.status} ${reply.code}`);
  return reply.body.reservationId as string;
};
const level = async (sku: string) => (await client.call('GET', `/v1/stock/a/${sku}?fresh=true`)).body;
const metric = async (name: string): Promise<number> => {
  const text = await (await fetch(`${stack.url}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.split(' ')[1] ?? NaN,
  );
};
const stockUp = async (sku: string): Promise<void> => {
  await client.call('PUT', `/v1/stock/a/${sku}`, { as: 'admin', body: {} });
  await client.call('POST', `/v1/stock/a/${sku}/restock`, { as: 'admin', body: { quantity: 100_000 } });
};

const HOT = 'hot';
await stockUp(HOT);
const lag = async (): Promise<number> => (await client.call('GET', '/v1/admin/partitions', { as: 'admin' })).body.lag;

await t.test(
  'Postgres away: selling goes on to the limit of the log, then no new holds, until it is back',
  async (t) => {
    const cold: string[] = [];
    for (let n = 0; n < 40; n++) await stockUp(`cold-${n}`);
    const begun = await Promise.all(Array.from({ length: 20 }, () => held(HOT)));
    await until('the log is persisted', async () => (await lag()) === 0);
    await stack.postgres!.stop();
    let taken = 0;
    let last: Reply;
    do {
      const replies = await Promise.all(Array.from({ length: 20 }, () => reserve(HOT)));
      last = replies.at(-1)!;
      taken += replies.filter(({ status }) => status === 201).length;
    } while (last.status === 201 && taken < LOG_EVENTS * 50);
    t.ok(taken >= LOG_EVENTS, `${taken} sold without Postgres`);
    t.match(last, { status: 503, code: 'overloaded', body: { detail: /persisted/ } });
    t.equal(last.headers.get('retry-after'), '5');
    t.ok((await metric('holdfast_admission_closed_partitions{limit="log",to="holds"}')) >= 1);
    t.ok((await metric('holdfast_admission_refused_total{limit="log"}')) >= 1);
    const before = await level(HOT);
    t.equal((await reserve(HOT)).code, 'overloaded');
    t.match(await level(HOT), { version: before.version, available: before.available }, 'a refusal changes nothing');

    const deduct = { quantity: 1, orderId: fresh('o') };
    t.match(await client.call('POST', `/v1/stock/a/${HOT}/deduct`, { as: 'service', body: deduct }), { status: 503 });
    t.match(await act(begun[0]!, 'confirm'), { status: 200, body: { status: 'confirmed' } });
    t.match(await act(begun[1]!, 'release'), { status: 200, body: { status: 'released' } });
    t.match(await act(begun[0]!, 'return'), { status: 200, body: { status: 'returned' } });
    for (let n = 0; n < 40; n++) if ((await reserve(`cold-${n}`)).status === 201) cold.push(`cold-${n}`);
    t.ok(cold.length > 0, `${cold.length} of 40 items lie in partitions that are open`);

    await stack.postgres!.restart();
    await until('selling again', async () => (await reserve(HOT)).status === 201);
    await until('everything is persisted', async () => (await lag()) === 0);
    t.equal(await metric('holdfast_admission_closed_partitions{limit="log",to="holds"}'), 0);
  },
);

await t.test(
  'memory nearly full: refused before Redis has to; full: refused by Redis; what was begun is ended',
  async (t) => {
    const begun = await Promise.all(Array.from({ length: 8 }, () => held(HOT)));
    // As Redis counts it when it decides whether memory is full.
    const used = await withAdmin(node!.port, async (redis) => {
      const info = await redis.info('memory');
      const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)![1]);
      return field('used_memory') - field('mem_not_counted_for_evict');
    });
    // 88 %: above the mark for new holds, below that for other writes.
    await config('maxmemory', String(Math.round(used / 0.88)));
    await until('closed to holds', async () => (await reserve(HOT)).status === 503);
    t.match(await reserve(HOT), { status: 503, code: 'overloaded', body: { detail: /memory/ } });
    t.match(await client.call('POST', `/v1/stock/a/${HOT}/restock`, { as: 'admin', body: { quantity: 1 } }), {
      status: 200,
    });
    t.match(await act(begun[0]!, 'confirm'), { status: 200 });
    t.match(await act(begun[1]!, 'release'), { status: 200 });

    await config('maxmemory', '1mb');
    await until('closed to writes', async () => {
      const restock = { as: 'admin', body: { quantity: 1 } } as const;
      const reply = await client.call('POST', `/v1/stock/a/${HOT}/restock`, restock);
      return reply.status === 503 && /memory of this part/.test(reply.body.detail);
    });
    const before = await level(HOT);
    t.match(await reserve(HOT), { status: 503, code: 'overloaded' });
    t.match(await reserve(HOT, { 'idempotency-key': fresh('k') }), { status: 503 });
    t.match(await level(HOT), { version: before.version }, 'nothing has changed');
    t.match(await act(begun[2]!, 'confirm'), { status: 200, body: { status: 'confirmed' } });
    const key = { 'idempotency-key': fresh('k') };
    t.match(await act(begun[3]!, 'confirm', key), { status: 200 }, 'also where no record of the key can be kept');
    t.match(await act(begun[3]!, 'confirm', key), { status: 200 }, 'and again');
    t.match(await act(begun[4]!, 'release', key), { status: 200 });
    t.match(await act(begun[2]!, 'return'), { status: 200, body: { status: 'returned' } });
    await until('persisted and trimmed all the same', async () => (await lag()) === 0);
    t.ok((await metric('holdfast_admission_refused_total{limit="memory"}')) >= 2);

    await config('maxmemory', '0');
    await until('selling again', async () => (await reserve(HOT)).status === 201);
  },
);

await t.test('a process that stood still refuses new holds that waited meanwhile', async (t) => {
  const begun = await held(HOT);
  const server = stack.servers[0]!;
  // Connections that are there already: what is sent now waits in them.
  server.kill('SIGSTOP');
  const asked = [reserve(HOT), reserve(HOT), act(begun, 'confirm')] as const;
  await new Promise((resolve) => setTimeout(resolve, LOOP_MS * 4));
  server.kill('SIGCONT');
  const [one, two, confirmed] = await Promise.all(asked);
  for (const reply of [one, two]) t.match(reply, { status: 503, code: 'overloaded', body: { detail: /too busy/ } });
  t.match(confirmed, { status: 200, body: { status: 'confirmed' } });
  await until('selling again', async () => (await reserve(HOT)).status === 201);
});

/** Idempotency-Key: one effect and one answer a key, whoever asks, however often, whichever process. */
import { pack } from 'msgpackr';
import type { Test } from 'tap';
import { fingerprintOf, scopeHash } from '../../../server/idempotency/key.js';
import { IdempotencyStore } from '../../../server/idempotency/store.js';
import { fresh, type CallOptions } from '../support.js';
import { LOCATION, makeItem, makeReservation, sampleOf, type Scene } from './scene.js';

const MANY = 50;

export async function idempotencyPart(t: Test, { client, stack }: Scene): Promise<void> {
  const keyed = (key: string, options: CallOptions = {}): CallOptions => ({
    ...options,
    headers: { ...options.headers, 'idempotency-key': key },
  });
  const changing = client.all.filter(({ idempotent }) => idempotent);
  const counts = async (sku: string) => {
    const { available, reserved, sold } = (await client.call('GET', `/v1/stock/${LOCATION}/${sku}`)).body;
    return { available, reserved, sold };
  };

  await t.test('every POST that changes something heeds it', async (t) => {
    const posts = client.all.filter(({ method, operationId }) => method === 'post' && operationId !== 'queryStock');
    t.same(changing.map(({ operationId }) => operationId).sort(), posts.map(({ operationId }) => operationId).sort());
  });

  await t.test(`${MANY} simultaneous identical requests: one effect, identical answers`, async (t) => {
    const sku = await makeItem(client, MANY);
    const key = fresh('key');
    const body = { lines: [{ location: LOCATION, sku, quantity: 1 }] };
    const replies = await Promise.all(
      // A connection each, so that both processes get some.
      Array.from({ length: MANY }, () =>
        client.call(
          'POST',
          '/v1/reservations',
          keyed(key, { as: 'buyer:b-1', body, headers: { connection: 'close' } }),
        ),
      ),
    );
    t.same([...new Set(replies.map(({ status }) => status))], [201]);
    t.equal(new Set(replies.map(({ bytes }) => bytes.toString())).size, 1, 'byte for byte');
    t.equal(replies.filter(({ headers }) => headers.get('idempotent-replayed') === 'true').length, MANY - 1);
    t.same(await counts(sku), { available: MANY - 1, reserved: 1, sold: 0 });
    const processes = new Set(replies.map(({ headers }) => headers.get('x-request-id')?.split('-')[0]));
    t.equal(processes.size, stack.servers.length, 'every process of the port had its share');
  });

  await t.test('the same again, quoted or bare; another body; another caller; on every route', async (t) => {
    for (const { operationId, method } of changing) {
      const { path, body, as } = await sampleOf(client, operationId);
      const key = fresh('key');
      const who = as === undefined ? {} : { as };
      const first = await client.call(method, path, keyed(key, { ...who, body }));
      t.ok(first.status < 300, `${operationId} ${first.status}`);
      t.equal(first.headers.get('idempotent-replayed'), null);
      const again = await client.call(method, path, keyed(`"${key}"`, { ...who, body }));
      t.equal(again.headers.get('idempotent-replayed'), 'true', `${operationId}: replayed`);
      t.equal(again.status, first.status);
      t.ok(again.bytes.equals(first.bytes), 'the same bytes');
      const other = { ...(body as object), ack: 'executed' };
      const changed = operationId === 'importStock' ? { ...(body as object), reason: 'another' } : other;
      t.match(
        await client.call(method, path, keyed(key, { ...who, body: changed })),
        { status: 422, code: 'idempotency_mismatch' },
        operationId,
      );
      const stranger = await client.call(method, path, keyed(key, { as: 'admin:somebody-else', body }));
      t.equal(stranger.headers.get('idempotent-replayed'), null, `${operationId}: not another's answer`);
    }
  });

  await t.test('still in flight elsewhere', async (t) => {
    const store = new IdempotencyStore(stack.redisUrl, String(stack.env['HOLDFAST_KEY_PREFIX']), () => undefined);
    t.teardown(() => store.close());
    await Promise.all(
      changing.map(async ({ operationId, method }) => {
        const { path, body, as = '' } = await sampleOf(client, operationId);
        const key = fresh('key');
        const [role = '', sub = role] = as.split(':');
        const raw = Buffer.from(JSON.stringify(body));
        await store.open(scopeHash({ sub, role, method, url: path, key }), fingerprintOf('application/json', '', raw));
        const reply = await client.call(method, path, keyed(key, { as: as as 'admin', raw }));
        t.match(reply, { status: 409, code: 'idempotency_in_flight' }, operationId);
        t.equal(reply.headers.get('retry-after'), '1');
      }),
    );
  });

  await t.test('a process that died between the change and the answer: the retry changes nothing more', async (t) => {
    const store = new IdempotencyStore(stack.redisUrl, String(stack.env['HOLDFAST_KEY_PREFIX']), () => undefined);
    t.teardown(() => store.close());
    const sku = await makeItem(client, 5);
    const body = { lines: [{ location: LOCATION, sku, quantity: 2 }] };
    const raw = Buffer.from(JSON.stringify(body));
    const key = fresh('key');
    const hash = scopeHash({ sub: 'b-1', role: 'buyer', method: 'post', url: '/v1/reservations', key });
    const asked = keyed(key, { as: 'buyer:b-1', raw });
    const first = await client.call('POST', '/v1/reservations', asked);
    t.equal(first.status, 201);
    // As if it had not come to keep the answer. Giving up stands for the time that passes.
    const record = await store.find(hash);
    t.ok(await store.giveUp(hash, record!.token, fingerprintOf('application/json', '', raw)));
    const retry = await client.call('POST', '/v1/reservations', asked);
    t.match(retry, { status: 201, body: { reservationId: first.body.reservationId, status: 'held' } });
    t.equal(retry.headers.get('idempotent-replayed'), null, 'it was carried out again');
    t.same(await counts(sku), { available: 3, reserved: 2, sold: 0 });
  });

  await t.test('refusals are answers too; what was malformed may come again', async (t) => {
    const sku = await makeItem(client, 1);
    const order = (quantity: unknown) => ({
      as: 'service' as const,
      body: { lines: [{ location: LOCATION, sku, quantity }] },
    });
    const key = fresh('key');
    const refused = await client.call('POST', '/v1/reservations', keyed(key, order(2)));
    t.match(refused, { status: 409, code: 'insufficient_stock' });
    await client.call('POST', `/v1/stock/${LOCATION}/${sku}/restock`, { as: 'admin', body: { quantity: 5 } });
    const replayed = await client.call('POST', '/v1/reservations', keyed(key, order(2)));
    t.match(replayed, { status: 409, code: 'insufficient_stock' });
    t.ok(replayed.bytes.equals(refused.bytes));

    const corrected = fresh('key');
    t.equal((await client.call('POST', '/v1/reservations', keyed(corrected, order(-1)))).status, 400);
    t.equal((await client.call('POST', '/v1/reservations', keyed(corrected, order(1)))).status, 201);

    const limited = await makeItem(client, 5, { buyerLimit: 1 });
    const needsBuyer = fresh('key');
    const lines = [{ location: LOCATION, sku: limited, quantity: 1 }];
    t.equal(
      (await client.call('POST', '/v1/reservations', keyed(needsBuyer, { as: 'service', body: { lines } }))).status,
      400,
    );
    const withBuyer = keyed(needsBuyer, { as: 'service', body: { lines, buyerId: 'b-9' } });
    t.equal(
      (await client.call('POST', '/v1/reservations', withBuyer)).status,
      201,
      'a 400 of the engine is not kept either',
    );
  });

  await t.test('keys that cannot be', async (t) => {
    const id = await makeReservation(client, await makeItem(client, 1));
    for (const key of ['""', 'a b', 'x'.repeat(256), '"a']) {
      const reply = await client.call('POST', `/v1/reservations/${id}/release`, keyed(key, { as: 'service' }));
      if (key === '"a') t.equal(reply.status, 200, 'a lone quote is just a character');
      else
        t.match(
          reply,
          { status: 400, code: 'invalid_request', body: { errors: [{ field: 'Idempotency-Key' }] } },
          key.slice(0, 9),
        );
    }
  });

  await t.test('the answer comes again in the format it was first given', async (t) => {
    const sku = await makeItem(client, 5);
    const body = { quantity: 1, orderId: fresh('order') };
    const key = fresh('key');
    const raw = pack(body);
    const path = `/v1/stock/${LOCATION}/${sku}/deduct`;
    const headers = { 'content-type': 'application/msgpack', accept: 'application/msgpack' };
    const first = await client.call('POST', path, keyed(key, { as: 'service', raw, headers }));
    const again = await client.call('POST', path, keyed(key, { as: 'service', raw, headers }));
    t.ok(again.bytes.equals(first.bytes));
    t.same(again.body, first.body);
  });
}

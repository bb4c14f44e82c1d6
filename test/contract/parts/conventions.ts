/** What holds on every route alike: who may, what a body may be, what every answer carries. */
import { gunzipSync } from 'node:zlib';
import { request } from 'node:http';
import { pack, unpack } from 'msgpackr';
import type { Test } from 'tap';
import { fresh, type CallOptions, type Operation } from '../support.js';
import { LOCATION, makeItem, sampleOf, type Scene } from './scene.js';

export async function conventionsPart(t: Test, { client }: Scene): Promise<void> {
  const filled = (operation: Operation): string =>
    operation.path.replace('{file}', 'swagger-ui.css').replace(/\{\w+\}/g, 'x');
  const mightiest = (operation: Operation): Pick<CallOptions, 'as'> => (operation.secured ? { as: 'admin' } : {});

  await t.test('without a token, with a bad one, with the wrong role', async (t) => {
    for (const operation of client.all.filter(({ secured }) => secured)) {
      const path = filled(operation);
      const none = await client.call(operation.method, path, {});
      t.match(none, { status: 401, code: 'unauthenticated' }, operation.operationId);
      t.equal(none.headers.get('www-authenticate'), 'Bearer realm="holdfast"');
      const bad = await client.call(operation.method, path, { headers: { authorization: 'Bearer x.y.z' } });
      t.match(bad, { status: 401, code: 'unauthenticated' });
      t.match(bad.headers.get('www-authenticate'), /error="invalid_token"/);
      if (operation.codes.get(403)?.includes('forbidden') && isAdminOnly(operation)) {
        t.match(await client.call(operation.method, path, { as: 'buyer:b-1' }), { status: 403, code: 'forbidden' });
        t.match(await client.call(operation.method, path, { as: 'service' }), { status: 403, code: 'forbidden' });
      }
    }
  });

  await t.test('paths, queries and bodies that cannot be', async (t) => {
    for (const operation of client.all) {
      const who = mightiest(operation);
      const name = operation.operationId;
      if (operation.path.includes('{')) {
        for (const bad of ['a%20b', '%7Bx%7D', '%00', '%zz', 'x'.repeat(129), 'a:b', '%C3%A4']) {
          const path = operation.path.replace(/\{\w+\}/g, bad);
          t.match(
            await client.call(operation.method, path, { ...who, ...(operation.hasBody ? { body: {} } : {}) }),
            { status: 400, code: 'invalid_request' },
            `${name} ${bad}`,
          );
        }
      }
      const path = filled(operation);
      const body = operation.hasBody ? { body: {} } : {};
      const unknown = await client.call(operation.method, `${path}?unknown=1`, { ...who, ...body });
      t.match(
        unknown,
        { status: 400, code: 'invalid_request', body: { errors: [{ field: 'unknown' }] } },
        `${name}: unknown parameter`,
      );
      if (!operation.hasBody) continue;
      for (const raw of ['{', '[1]', '"x"', 'null', '7', '['.repeat(10_000), '\ufeff{}', '{"a":1}{']) {
        t.match(
          await client.call(operation.method, path, { ...who, raw }),
          { status: 400, code: 'invalid_request' },
          `${name} ${raw.slice(0, 9)}`,
        );
      }
      const utf8 = await client.call(operation.method, path, {
        ...who,
        raw: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
      });
      t.match(utf8, { status: 400, code: 'invalid_request', body: { detail: /UTF-8/ } }, `${name}: not UTF-8`);
      const packed = { headers: { 'content-type': 'application/msgpack' } };
      for (const raw of [
        Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]),
        Buffer.alloc(5_000, 0x91),
        pack(new Date()),
        Buffer.from([0xc1]),
      ]) {
        t.match(
          await client.call(operation.method, path, { ...who, ...packed, raw }),
          { status: 400, code: 'invalid_request' },
          `${name} MessagePack`,
        );
      }
      const surplus = await client.call(operation.method, path, { ...who, body: { price: 1 } });
      t.ok(
        surplus.body.errors.some(
          (error: { field: string; code: string }) => error.field === 'price' && error.code === 'unknown_field',
        ),
        `${name}: unknown field`,
      );
      const typed = await client.call(operation.method, path, {
        ...who,
        raw: '{}',
        headers: { 'content-type': 'text/plain' },
      });
      t.match(typed, { status: 415, code: 'unsupported_media_type' }, name);
    }
  });

  await t.test('larger than a route takes', async (t) => {
    for (const operation of client.all.filter(({ hasBody }) => hasBody)) {
      const large = await client
        .call(operation.method, filled(operation), {
          ...mightiest(operation),
          raw: Buffer.alloc(7 * 1024 * 1024, 0x20),
        })
        .catch(() => undefined);
      // A client that goes on sending may find the connection gone before it reads the answer.
      if (large !== undefined) t.match(large, { status: 413, code: 'payload_too_large' }, operation.operationId);
      const declared = await announce(client.url, operation, await client.authorization('admin'), 100_000_000);
      client.check(operation.method, filled(operation), declared);
      t.match(declared, { status: 413, code: 'payload_too_large' }, `${operation.operationId}, announced`);
    }
  });

  await t.test('MessagePack says the same as JSON', async (t) => {
    for (const operation of client.all) {
      if (operation.operationId.startsWith('getDocs') || ['getMetrics', 'getOpenApi'].includes(operation.operationId))
        continue;
      const sample = await sampleOf(client, operation.operationId);
      const accept = { accept: 'application/msgpack' };
      const raw =
        sample.body === undefined
          ? {}
          : { raw: pack(sample.body), headers: { ...accept, 'content-type': 'application/msgpack' } };
      const reply = await client.call(operation.method, sample.path, {
        ...(sample.as === undefined ? {} : { as: sample.as }),
        headers: accept,
        ...raw,
      });
      t.ok(reply.status < 300, `${operation.operationId} ${reply.status} ${JSON.stringify(reply.body)}`);
      t.equal(reply.headers.get('content-type'), 'application/msgpack');
      t.same(unpack(reply.bytes), reply.body);
    }
    const refused = await client.call('GET', `/v1/stock/${LOCATION}/${fresh('none')}`, {
      headers: { accept: 'application/msgpack' },
    });
    t.match(refused, { status: 404, code: 'sku_not_found' });
    t.equal(refused.headers.get('content-type'), 'application/msgpack');
  });

  await t.test('headers of every answer', async (t) => {
    const sku = await makeItem(client, 1);
    const path = `/v1/stock/${LOCATION}/${sku}`;
    const given = await client.call('GET', path, { headers: { 'x-request-id': 'trace-1' } });
    t.equal(given.headers.get('x-request-id'), 'trace-1', 'a request id is taken over');
    const forged = await client.call('GET', path, { headers: { 'x-request-id': 'a"b<script>' } });
    t.match(forged.headers.get('x-request-id'), /^[a-z0-9-]+$/, 'but not just any');
    t.match(given.headers.get('x-response-time'), /^\d+\.\d\d$/);
    t.equal(given.headers.get('x-content-type-options'), 'nosniff');
    t.equal(given.headers.get('cache-control'), 'no-store');
    t.match(given.headers.get('content-security-policy'), /default-src 'none'/);
    const refused = await client.call('GET', `/v1/stock/${LOCATION}/${fresh('none')}`, {
      headers: { 'x-request-id': 'trace-2' },
    });
    t.equal(refused.body.requestId, 'trace-2');
    t.equal(refused.headers.get('content-type'), 'application/problem+json');
    t.equal(refused.body.type, 'urn:holdfast:problem:sku_not_found');
  });

  await t.test('compressed where it is asked for and worth it', async (t) => {
    const sku = await makeItem(client, 1);
    const items = Array.from({ length: 50 }, () => `${LOCATION}:${sku}`).join(',');
    const plain = await rawGet(`${client.url}/v1/stock?items=${items}`, {});
    const packed = await rawGet(`${client.url}/v1/stock?items=${items}`, { 'accept-encoding': 'gzip, br' });
    t.equal(plain.headers['content-encoding'], undefined);
    t.equal(packed.headers['content-encoding'], 'gzip');
    // How old an answer from memory may be differs from one request to the next; nothing else does.
    const timeless = (bytes: Buffer): string => bytes.toString().replace(/"staleMs":\d+/g, '"staleMs":0');
    t.equal(timeless(gunzipSync(packed.bytes)), timeless(plain.bytes));
    t.ok(packed.bytes.length < plain.bytes.length / 4);
    const small = await rawGet(`${client.url}/v1/stock/${LOCATION}/${sku}`, { 'accept-encoding': 'gzip' });
    t.equal(small.headers['content-encoding'], undefined, 'below 1 kB it is not');
  });
}

/** Operations whose description names only the role admin. */
function isAdminOnly(operation: Operation): boolean {
  return !['deduct', 'reserve'].includes(operation.operationId) && !operation.operationId.endsWith('Reservation');
}

/** Sends the head of a request whose body would be far too large, and nothing of the body. */
function announce(url: string, operation: Operation, authorization: string, length: number) {
  const { hostname, port } = new URL(url);
  const path = operation.path.replace(/\{\w+\}/g, 'x');
  return new Promise<{ status: number; headers: Headers; bytes: Buffer; body: unknown; code: string | undefined }>(
    (resolve, reject) => {
      const headers = { authorization, 'content-type': 'application/json', 'content-length': length };
      const sent = request({ hostname, port, path, method: operation.method, headers, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          sent.destroy();
          const bytes = Buffer.concat(chunks);
          const body = JSON.parse(bytes.toString()) as { code?: string };
          const found = new Headers(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
          resolve({ status: response.statusCode ?? 0, headers: found, bytes, body, code: body.code });
        });
      });
      sent.on('error', reject);
      sent.flushHeaders();
    },
  );
}

/** fetch unpacks by itself and hides whether there was something to unpack. */
function rawGet(url: string, headers: Record<string, string>) {
  return new Promise<{ headers: Record<string, unknown>; bytes: Buffer }>((resolve, reject) => {
    request(url, { headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, bytes: Buffer.concat(chunks) }));
    })
      .on('error', reject)
      .end();
  });
}

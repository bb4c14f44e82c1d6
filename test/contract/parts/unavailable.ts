/**
 * 503 and its like: servers whose surroundings are as bad as each code says. They run in this process, beside the good
 * ones, each with its own configuration.
 */
import { generateKeyPairSync } from 'node:crypto';
import { connect } from 'node:net';
import { SignJWT } from 'jose';
import { pino } from 'pino';
import type { Test } from 'tap';
import { startServer, type RunningServer } from '../../../server/app.js';
import { readConfig } from '../../../server/config.js';
import { startCluster } from '../../harness/index.js';
import { Client, fresh } from '../support.js';
import { sampleOf, type Scene } from './scene.js';

const SECRET = 'contract-test-secret-of-32-bytes-or-more';

export async function unavailablePart(t: Test, scene: Scene): Promise<void> {
  const { client, stack } = scene;
  const starting = async (t: Test, env: Record<string, string>): Promise<{ server: RunningServer; other: Client }> => {
    const config = readConfig({
      HOLDFAST_REDIS_URL: stack.redisUrl,
      HOLDFAST_JWT_SECRET: SECRET,
      HOLDFAST_PORT: '0',
      HOLDFAST_KEY_PREFIX: fresh('u').replaceAll('-', ''),
      HOLDFAST_PARTITIONS: '8',
      HOLDFAST_SHUTDOWN_DELAY_MS: '0',
      ...env,
    });
    const server = await startServer(config, pino({ level: 'silent' }));
    t.teardown(() => server.stop());
    const other = await new Client(`http://127.0.0.1:${server.port}`, SECRET).load();
    return { server, other };
  };
  const note = (other: Client): void => {
    for (const seen of other.seen) client.seen.add(seen);
  };

  await t.test('full: everything is refused at once but probes and metrics', async (t) => {
    const { other, server } = await starting(t, { HOLDFAST_MAX_IN_FLIGHT: '1' });
    const slow = connect(server.port, '127.0.0.1');
    t.teardown(() => slow.destroy());
    await new Promise((resolve) => slow.once('connect', resolve));
    slow.write(
      'POST /v1/stock/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{',
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (const { operationId, method, path, codes } of other.all) {
      const reply = await other.call(method, path.replace('{file}', 'start.js').replace(/\{\w+\}/g, 'x'), {
        as: 'admin',
      });
      if (codes.get(503)?.includes('overloaded') === true)
        t.match(reply, { status: 503, code: 'overloaded' }, operationId);
      else t.not(reply.code, 'overloaded', operationId);
    }
    note(other);
  });

  await t.test('a port for probes and metrics alone', async (t) => {
    const { server, other } = await starting(t, { HOLDFAST_METRICS_PORT: '0' });
    const own = `http://127.0.0.1:${server.metricsPort}`;
    await other.call('GET', '/v1/stock/a/b');
    for (const path of ['/livez', '/metrics']) t.equal((await fetch(own + path)).status, 200, path);
    t.match(
      await (await fetch(`${own}/metrics`)).text(),
      /route="\/v1\/stock\/\{location\}\/\{sku\}",method="GET",status="\d+"\} 1/,
    );
    t.equal((await fetch(`${own}/v1/stock/a/b`)).status, 404);
  });

  await t.test('a body that does not come', async (t) => {
    const { other, server } = await starting(t, { HOLDFAST_BODY_TIMEOUT_MS: '300' });
    await Promise.all(
      other.all
        .filter(({ hasBody }) => hasBody)
        .map(async ({ operationId, method, path }) => {
          const filled = path.replace(/\{\w+\}/g, 'x');
          const answer = await partial(
            server.port,
            `${method.toUpperCase()} ${filled} HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{"a"`,
          );
          t.match(answer, /^HTTP\/1\.1 408 /, operationId);
          t.match(answer, /"code":"request_timeout"/);
          client.seen.add(`${operationId} request_timeout`);
        }),
    );
  });

  await t.test('partitions that nobody has opened', async (t) => {
    // With a database it is the workers that open partitions, and this prefix has none.
    const { other } = await starting(t, { HOLDFAST_DATABASE_URL: stack.databaseUrl, HOLDFAST_CALL_TIMEOUT_MS: '300' });
    t.match(await other.call('GET', '/readyz'), {
      status: 503,
      body: { ready: false, checks: [{ name: 'engine', ok: false }] },
    });
    const bodies: Record<string, unknown> = {
      queryStock: { items: [['a', 'b']] },
      restock: { quantity: 1 },
      adjust: { by: 1, reason: 'x' },
      deduct: { quantity: 1, orderId: 'o' },
      reserve: { lines: [{ location: 'a', sku: 'b', quantity: 1 }] },
      extendReservation: { holdSeconds: 10 },
      importStock: { rows: [{ location: 'a', sku: 'b', countedTo: 1 }], reason: 'x', importId: 'i' },
    };
    await Promise.all(
      other.all
        .filter(
          ({ codes, operationId }) =>
            codes.get(503)?.includes('shard_unavailable') === true && operationId !== 'getPartitions',
        )
        .map(async ({ operationId, method, path, hasBody }) => {
          const filled = path === '/v1/stock' ? '/v1/stock?items=a:b' : path.replace(/\{\w+\}/g, 'x');
          const reply = await other.call(method, filled, {
            as: 'admin',
            ...(hasBody ? { body: bodies[operationId] ?? {} } : {}),
          });
          t.match(reply, { status: 503, code: 'shard_unavailable' }, operationId);
        }),
    );
    note(other);
  });

  await t.test('no database: only what reads from it is missing', async (t) => {
    const { other } = await starting(t, {});
    t.equal((await other.call('GET', '/v1/stock/export', { as: 'admin' })).code, 'database_unavailable');
    t.equal((await other.call('GET', '/v1/stock/a/b/movements', { as: 'admin' })).code, 'database_unavailable');
    t.match(await other.call('GET', '/v1/reservations/none', { as: 'admin' }), { status: 404 });
    t.match(await other.call('PUT', '/v1/stock/a/b', { as: 'admin', body: {} }), { status: 201 });
    t.match(await other.call('POST', '/v1/stock/a/b/restock', { as: 'admin', body: { quantity: 1 } }), { status: 200 });
    const durable = await other.call('POST', '/v1/stock/a/b/restock', {
      as: 'admin',
      body: { quantity: 1, ack: 'durable' },
      headers: { 'idempotency-key': 'durable' },
    });
    t.match(
      durable,
      { status: 202, body: { available: 2, ack: /executed|replicated/ } },
      'nobody writes to Postgres here',
    );
    const again = await other.call('POST', '/v1/stock/a/b/restock', {
      as: 'admin',
      body: { quantity: 1, ack: 'durable' },
      headers: { 'idempotency-key': 'durable' },
    });
    t.match(
      again,
      { status: 202, body: { available: 2 } },
      '202 is not replayed but asked again, and nothing is done twice',
    );
    t.equal(again.headers.get('idempotent-replayed'), null);
    note(other);
  });

  await t.test('a database that cannot be reached', async (t) => {
    const { other } = await starting(t, {
      HOLDFAST_DATABASE_URL: 'postgres://127.0.0.1:9/none',
      HOLDFAST_CALL_TIMEOUT_MS: '300',
      HOLDFAST_KEY_PREFIX: String(stack.env['HOLDFAST_KEY_PREFIX']),
      HOLDFAST_PARTITIONS: '16',
    });
    for (const path of ['/v1/stock/export', '/v1/stock/a/b/movements', '/v1/reservations/none']) {
      t.match(await other.call('GET', path, { as: 'admin' }), { status: 503, code: 'database_unavailable' }, path);
    }
    t.match((await other.call('GET', '/readyz')).body, {
      checks: [{ name: 'engine' }, { name: 'database', ok: false, required: false }],
    });
    note(other);
  });

  await t.test('an issuer whose keys cannot be fetched', async (t) => {
    const { other } = await starting(t, { HOLDFAST_JWKS_URL: 'http://127.0.0.1:9/keys' });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const token = await new SignJWT({ role: 'admin' })
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: 'k' })
      .setSubject('a')
      .setIssuer('holdfast')
      .setAudience('holdfast')
      .setExpirationTime('1h')
      .sign(privateKey);
    for (const { operationId, method, path, codes } of other.all) {
      if (codes.get(503)?.includes('issuer_unavailable') !== true) continue;
      if (/^(getStock|getStockOfMany|queryStock)$/.test(operationId)) continue;
      const reply = await other.call(method, path.replace(/\{\w+\}/g, 'x'), {
        headers: { authorization: `Bearer ${token}` },
      });
      t.match(reply, { status: 503, code: 'issuer_unavailable' }, operationId);
    }
    note(other);
  });

  await t.test('reads can be closed to the public', async (t) => {
    const { other } = await starting(t, { HOLDFAST_PUBLIC_READS: 'false' });
    for (const [method, path] of [
      ['GET', '/v1/stock/a/b'],
      ['GET', '/v1/stock?items=a:b'],
      ['POST', '/v1/stock/query'],
    ] as const) {
      const body = method === 'POST' ? { body: { items: [['a', 'b']] } } : {};
      t.match(await other.call(method, path, body), { status: 401, code: 'unauthenticated' });
      t.ok((await other.call(method, path, { ...body, as: 'buyer:b-1' })).status !== 401);
    }
  });

  await t.test('masters that hang: nobody knows what was done, but everybody gets an answer', async (t) => {
    const cluster = await startCluster({ masters: 3, replicasPerMaster: 0 });
    const { other } = await starting(t, { HOLDFAST_REDIS_URL: cluster.url, HOLDFAST_CALL_TIMEOUT_MS: '500' });
    await waitReady(other);
    const samples = [];
    for (const operation of other.all) {
      if (operation.codes.get(503)?.includes('outcome_unknown') !== true) continue;
      // They read first, and a read that gets no answer has changed nothing.
      if (['importStock', 'returnReservation'].includes(operation.operationId)) continue;
      samples.push({ ...operation, sample: await sampleOf(other, operation.operationId) });
    }
    for (const node of cluster.nodes) node.kill('SIGSTOP');
    try {
      // All at once: whoever comes after a connection was given up is told shard_unavailable, which is the better answer.
      await Promise.all(
        samples.map(async ({ operationId, method, sample }) => {
          const reply = await other.call(method, sample.path, { as: sample.as ?? 'service', body: sample.body });
          t.match(reply, { status: 503, code: 'outcome_unknown' }, operationId);
          if (operationId === 'restock') {
            const headers = { 'idempotency-key': fresh('key') };
            const keyed = await other.call(method, sample.path, { as: 'admin', body: sample.body, headers });
            t.match(keyed, { status: 503, code: 'shard_unavailable' }, 'without the store of keys nothing is begun');
          }
          if (operationId === 'reserve')
            t.match(reply.body.reservationId, /^[\w-]{20}$/, 'with the id to ask again by');
        }),
      );
    } finally {
      for (const node of cluster.nodes) node.kill('SIGCONT');
    }
    note(other);
  });
}

async function waitReady(other: Client): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await other.call('GET', '/readyz')).status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the server did not become ready');
}

/** Sends a part of a request and collects what comes back until the connection is closed. */
function partial(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.setTimeout(15_000, () => socket.destroy());
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
  });
}

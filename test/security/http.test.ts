/** What a hostile caller tries over HTTP beside tokens: headers, fields, sizes, text that would be code. (docs/security.md) */
import t from 'tap';
import { withAdmin } from '../../stack/redis-form.js';
import { fresh, Client, type CallOptions } from '../contract/support.js';
import { makeItem, must, sampleOf } from '../contract/parts/scene.js';
import { startStack } from '../harness/index.js';
import { grep, product, read } from '../tidy/tree.js';

/** What the document does not bound by a word of its own, and what bounds it. */
const BOUNDED: Readonly<Record<string, string>> = {
  'importStock.rows[].attributes': 'a map of the user’s own; its bytes as JSON are limited',
  'importStock.rows[].attributes.^[^\\u0000-\\u001f\\u007f]{1,128}$': 'the same',
  'importStock.rows[].line': 'a label that comes back in the answer',
  'get /v1/stock items': 'a list in a text: 500 items, and what an address may have',
};

/** By file: tables, columns, limits and conditions that the program itself names, and roles of the operator, quoted. */
const KNOWN_PIECES: readonly string[] = [
  ...['table', 'condition', 'PAGE'].map((piece) => `workers/db/prune.ts: ${piece}`),
  ...['to', 'WORKER_FUNCTIONS', 'granted', 'table'].map((piece) => `workers/db/roles.ts: ${piece}`),
  ...['HOLD_COLUMNS', 'table'].map((piece) => `workers/drain/record-statements.ts: ${piece}`),
  ...['RECORD', 'KEPT_IDS', 'PAGE'].map((piece) => `workers/recovery/rows.ts: ${piece}`),
  ...["sum('"].map((piece) => `workers/verify/ledger.ts: ${piece}`),
  ...['COLUMNS', 'RECORD', 'SELECT', 'condition', 'kept', 'key', 'name'].map(
    (piece) => `workers/verify/persisted.ts: ${piece}`,
  ),
  ...['LONGEST', 'ROW'].map((piece) => `workers/verify/chain.ts: ${piece}`),
];

const stack = await startStack();
const client = await new Client(stack.url, stack.jwtSecret).load();

type Schema = Record<string, unknown>;
const document = client.openApi as { paths: Record<string, Record<string, Schema>> };

/** Calls `see` with the schema and everything in it, following references. */
function walk(
  schema: unknown,
  path: string,
  see: (schema: Schema, path: string) => void,
  seen = new Set<unknown>(),
): void {
  if (typeof schema !== 'object' || schema === null || seen.has(schema)) return;
  seen.add(schema);
  const one = schema as Schema;
  if (typeof one.$ref === 'string') {
    const target = one.$ref
      .slice(2)
      .split('/')
      .reduce<unknown>((at, key) => (at as Schema)[key], client.openApi);
    return walk(target, path, see, seen);
  }
  see(one, path);
  for (const key of ['properties', 'patternProperties'])
    for (const [name, inner] of Object.entries((one[key] ?? {}) as Schema)) walk(inner, `${path}.${name}`, see, seen);
  for (const key of ['anyOf', 'oneOf', 'allOf', 'prefixItems'])
    for (const [index, inner] of ((one[key] ?? []) as unknown[]).entries()) walk(inner, `${path}/${index}`, see, seen);
  walk(one.items, `${path}[]`, see, seen);
}

const bodies = client.all
  .filter(({ hasBody }) => hasBody)
  .map((operation) => {
    const { requestBody } = document.paths[operation.path]![operation.method] as { requestBody: Schema };
    const content = requestBody.content as Record<string, { schema: unknown }>;
    return { ...operation, schema: content['application/json']!.schema };
  });

t.test('no body has a field that nobody wrote down: not price, not epoch, not the prototype', async (t) => {
  t.ok(bodies.length >= 8, `${bodies.length} operations take a body`);
  const open: string[] = [];
  for (const { operationId, schema } of bodies)
    walk(schema, operationId, (one, path) => {
      if (one.type === 'object' && one.additionalProperties !== false && !(path in BOUNDED)) open.push(path);
    });
  t.same(open, []);
  const forged = { price: 1, epoch: 99, seq: 1, version: 7, status: 'confirmed', expiresAt: '2099-01-01T00:00:00Z' };
  for (const { operationId, method } of bodies) {
    const { path, body, as } = await sampleOf(client, operationId);
    for (const [name, value] of Object.entries({ ...forged, role: 'admin', sub: 'x', actor: 'x', sold: 0 })) {
      const reply = await client.call(method, path, {
        ...(as ? { as } : {}),
        body: { ...(body as object), [name]: value },
      });
      // A list in the place of a body, for instance, refuses the whole.
      t.match(reply, { status: 400, code: 'invalid_request' }, `${operationId}: ${name}`);
    }
    const raw = JSON.stringify(body).replace(/^\{/, '{"__proto__":{"role":"admin"},');
    const reply = await client.call(method, path, { ...(as ? { as } : {}), raw });
    t.match(reply, { status: 400, code: 'invalid_request' }, `${operationId}: __proto__`);
  }
});

t.test('every list, text and number of a request has an end', async (t) => {
  const endless: string[] = [];
  const see = (one: Schema, path: string): void => {
    if (one.type === 'array' && one.maxItems === undefined && one.prefixItems === undefined) endless.push(path);
    if (one.type === 'integer' && one.maximum === undefined && one.enum === undefined) endless.push(path);
    if (one.type !== 'string' || one.enum !== undefined || one.const !== undefined) return;
    const bounded =
      (typeof one.pattern === 'string' && /\{\d+,\d+\}\$$/.test(one.pattern)) || one.format === 'date-time';
    if (one.maxLength === undefined && !bounded) endless.push(path);
  };
  for (const { operationId, schema } of bodies) walk(schema, operationId, see);
  let parameters = 0;
  for (const [path, methods] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(methods))
      for (const parameter of (operation.parameters ?? []) as { name: string; in: string; schema: unknown }[]) {
        if (parameter.in === 'header') continue;
        parameters++;
        walk(parameter.schema, `${method} ${path} ${parameter.name}`, see);
      }
  t.ok(parameters > 10);
  t.same(
    endless.filter((path) => !(path in BOUNDED)),
    [],
  );
  const many = Array.from({ length: 501 }, (_, n) => `berlin:s${n}`).join(',');
  t.match(await client.call('GET', `/v1/stock?items=${many}`), { status: 400, code: 'invalid_request' }, '501 items');
  const rows = [{ location: 'berlin', sku: fresh('sku'), countedTo: 1, attributes: { title: 'x'.repeat(1_000_000) } }];
  const body = { rows, reason: 'count', importId: fresh('import') };
  const imported = await client.call('POST', '/v1/stock/import', { as: 'admin', body });
  t.match(JSON.stringify(imported.body), /"status":"rejected"/, 'attributes of a megabyte');
  const sku = await makeItem(client, 1);
  for (const limit of [0, -1, 1e9, '1e3', 'all']) {
    const path = `/v1/stock/berlin/${sku}/movements?limit=${limit}`;
    t.match(
      await client.call('GET', path, { as: 'admin' }),
      { status: 400, code: 'invalid_request' },
      `limit=${limit}`,
    );
  }
});

t.test('headers that claim to be somebody else change nothing', async (t) => {
  const sku = await makeItem(client, 3);
  const lines = [{ location: 'berlin', sku, quantity: 1 }];
  const held = await must(client.call('POST', '/v1/reservations', { as: 'buyer:anna', body: { lines } }));
  const path = `/v1/reservations/${held.body.reservationId as string}`;
  const claims: Record<string, string>[] = [
    ...['x-forwarded-for', 'x-real-ip', 'x-client-ip', 'true-client-ip', 'cf-connecting-ip'].map((name) => ({
      [name]: '127.0.0.1',
    })),
    { forwarded: 'for=127.0.0.1;proto=https;by=admin' },
    { 'x-forwarded-user': 'anna', 'x-remote-user': 'anna', 'x-user-id': 'anna', 'x-role': 'admin' },
    { 'x-http-method-override': 'DELETE', 'x-original-url': '/v1/admin/partitions', 'x-rewrite-url': '/metrics' },
  ];
  for (const headers of claims) {
    const name = Object.keys(headers).join(' ');
    t.match(await client.call('GET', path, { headers }), { status: 401 }, name);
    t.match(await client.call('GET', path, { as: 'buyer:bert', headers }), { status: 404 }, name);
    t.match(
      await client.call('GET', path, { as: 'buyer:anna', headers }),
      { status: 200, body: { status: 'held' } },
      name,
    );
    t.match(await client.call('GET', '/v1/admin/partitions', { as: 'buyer:bert', headers }), { status: 403 }, name);
  }
  const readers = product.filter((file) => file.startsWith('server/') && file.endsWith('.ts'));
  t.same(grep(readers, /x-forwarded|['"`]forwarded['"`]|x-real-ip|method-override/i), [], 'nobody looks at them');
});

const HOSTILE = [
  `'; DROP TABLE movements; --`,
  `' OR '1'='1`,
  `$1 $2 \${process.env} %s %I`,
  `]] redis.call("FLUSHALL") --[[`,
  `" .. redis.call('FLUSHALL') .. "`,
  `{{constructor}} \\u0022 \\x00 \\`,
  `🎫 ' " \` ; -- /* */`,
];

t.test('text of users is data: in Redis, in Lua, in SQL', async (t) => {
  const { nodes } = stack.redis!;
  const scripts = async (): Promise<unknown[]> =>
    Promise.all(
      nodes.map(({ port }) =>
        withAdmin(port, async (redis) => /number_of_cached_scripts:(\d+)/.exec(await redis.info('memory'))?.[1]),
      ),
    );
  const sku = await makeItem(client, 5);
  const before = await scripts();
  const path = `/v1/stock/berlin/${sku}`;
  const as: CallOptions = { as: 'admin' };
  for (const reason of HOSTILE)
    await must(client.call('POST', `${path}/adjust`, { ...as, body: { by: 1, reason, ack: 'durable' } }));
  const trail = await must(client.call('GET', `${path}/movements?limit=100`, as));
  const reasons = (trail.body.items as { reason?: string }[]).map(({ reason }) => reason);
  for (const reason of HOSTILE) t.ok(reasons.includes(reason), reason);
  t.match((await client.call('GET', path)).body, { available: 5 + HOSTILE.length });
  t.same(await scripts(), before, 'no script was made of it');
  for (const id of HOSTILE) {
    const encoded = encodeURIComponent(id);
    t.match(await client.call('GET', `/v1/reservations/${encoded}`, as), { status: 400 }, id);
    t.match(await client.call('GET', `/v1/stock/berlin/${encoded}`), { status: 400 }, id);
    t.match(
      await client.call('POST', '/v1/reservations', {
        as: 'service',
        body: { reservationId: id, lines: [{ location: 'berlin', sku, quantity: 1 }], buyerId: fresh('b') },
      }),
      { status: 400, code: 'invalid_request' },
      id,
    );
  }
});

t.test('the texts of SQL and Lua are put together from constants', async (t) => {
  const typescript = product.filter((file) => /^(server|workers)\/.*\.ts$/.test(file));
  const pieces = new Set<string>();
  for (const file of typescript)
    for (const [text] of read(file).matchAll(
      /`[^`]*\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|GRANT|REVOKE)\b[^`]*`/g,
    ))
      for (const [, piece] of text.matchAll(/\$\{([^}]*)\}/g)) pieces.add(`${file}: ${piece}`);
  t.ok(pieces.size > 3);
  t.same(
    [...pieces].filter((piece) => !KNOWN_PIECES.some((known) => piece.startsWith(known))),
    [],
    'what goes into a text of SQL is a constant of the program: enter it here, or pass it as a parameter',
  );
  t.same(
    grep(
      product.filter((file) => file.endsWith('.lua')),
      /\bloadstring\b|\bload\s*\(|\bdofile\b|setfenv/,
    ),
    [],
  );
});

/** Probes, metrics, the document, the explorer, and addresses there are not. */
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { readFileSync } from 'node:fs';
import type { Test } from 'tap';
import { PROBLEMS } from '../../../server/http/problems.js';
import { statuses } from '../../../engine/scripts/generated/statuses.js';
import type { Client } from '../support.js';
import { LOCATION, makeItem, sampleOf, type Scene } from './scene.js';
import { projectRoot } from '../../../stack/project.js';

export async function operationsPart(t: Test, { client, stack }: Scene): Promise<void> {
  await t.test('the document is valid OpenAPI 3.1', async (t) => {
    const result = await new Validator().validate(client.openApi);
    t.equal(result.valid, true, JSON.stringify(result.errors)?.slice(0, 500));
    t.equal((client.openApi as { openapi: string }).openapi, '3.1.0');
  });

  await t.test('registry, document and page list the same codes', async (t) => {
    const schemas = (
      client.openApi as { components: { schemas: Record<string, { properties: { code: { enum: string[] } } }> } }
    ).components.schemas;
    const inDocument = schemas['Problem']?.properties.code.enum ?? [];
    t.same([...inDocument].sort(), [...PROBLEMS.keys()].sort());
    for (const { kind, code, http } of Object.values(statuses)) {
      if (kind !== 'ok') t.match(PROBLEMS.get(code), { http }, code);
    }
    const page = readFileSync(join(projectRoot(), 'docs/http.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `(\w+)`\s*\| (\d{3})\s*\|/gm)].map(([, code, http]) => `${code} ${http}`);
    t.same(rows.sort(), [...PROBLEMS.values()].map(({ code, http }) => `${code} ${http}`).sort());
    const used = new Set(client.all.flatMap(({ codes }) => [...codes.values()].flat()));
    const unused = inDocument.filter((code) => !used.has(code));
    t.same(unused.sort(), ['method_not_allowed'], 'every code belongs to a route');
  });

  await t.test('every operation of the contract is there', async (t) => {
    const wanted = [
      'GET /v1/stock/{location}/{sku}',
      'GET /v1/stock',
      'POST /v1/stock/query',
      'PUT /v1/stock/{location}/{sku}',
      'POST /v1/stock/{location}/{sku}/restock',
      'POST /v1/stock/{location}/{sku}/adjust',
      'POST /v1/stock/{location}/{sku}/deduct',
      'GET /v1/stock/{location}/{sku}/movements',
      'POST /v1/reservations',
      'GET /v1/reservations/{id}',
      ...['confirm', 'release', 'extend', 'return'].map((what) => `POST /v1/reservations/{id}/${what}`),
      ...['/livez', '/readyz', '/metrics', '/openapi.json', '/docs'].map((path) => `GET ${path}`),
    ];
    const found = client.all.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    for (const operation of wanted) t.ok(found.includes(operation), operation);
    t.match((client.openApi as { paths: object }).paths, {
      '/v1/stream': { get: { operationId: 'openStream', responses: { 101: {} } } },
    });
  });

  await t.test('one good request of each', async (t) => {
    for (const { operationId, method } of client.all) {
      const { path, as, body } = await sampleOf(client, operationId);
      const reply = await client.call(method, path, { ...(as === undefined ? {} : { as }), body });
      t.ok(reply.status < 300, `${operationId} ${reply.status}`);
    }
  });

  await t.test('probes and metrics', async (t) => {
    t.match(await client.call('GET', '/livez'), { status: 200, body: { alive: true } });
    t.match((await client.call('GET', '/readyz')).body, {
      ready: true,
      draining: false,
      checks: [
        { name: 'engine', ok: true, required: true },
        { name: 'database', ok: true, required: false },
      ],
    });
    await makeItem(client, 1);
    const metrics = await metricsOfAll(client, stack.servers.length);
    for (const wanted of [
      /holdfast_http_requests_total\{route="\/v1\/stock\/\{location\}\/\{sku\}",method="PUT",status="201"\} \d+/,
      /holdfast_http_request_duration_seconds_bucket\{route="\/v1\/reservations",method="POST",le="0.1"\} \d+/,
      /holdfast_http_request_duration_seconds_bucket\{route="\/v1\/reservations",method="POST",le="\+Inf"\} \d+/,
      /holdfast_http_problems_total\{code="insufficient_stock"\} \d+/,
      /holdfast_http_requests_in_flight \d+/,
      /nodejs_eventloop_lag_seconds/,
    ]) {
      t.match(metrics, wanted);
    }
    t.notMatch(metrics, /sku-[0-9a-f]{12}/, 'labels are routes, not addresses');
  });

  await t.test('the explorer, from here alone', async (t) => {
    const page = await client.call('GET', '/docs');
    t.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
    t.notMatch(page.bytes.toString(), /https?:/);
    for (const [, file] of page.bytes.toString().matchAll(/(?:src|href)="([^"]+)"/g)) {
      const asset = await client.call('GET', file ?? '');
      t.equal(asset.status, 200, String(file));
      t.ok(asset.bytes.length > 50);
    }
    for (const other of ['package.json', '..', '.', 'index.js']) {
      const reply = await client.call('GET', `/docs/${other}`);
      if (reply.headers.get('content-type') !== 'text/html; charset=utf-8')
        t.match(reply, { status: 404, code: 'not_found' }, other);
    }
  });

  await t.test('HEAD, addresses there are not, methods they do not have', async (t) => {
    const sku = await makeItem(client, 1);
    const head = await fetch(`${client.url}/v1/stock/${LOCATION}/${sku}`, { method: 'HEAD' });
    t.equal(head.status, 200);
    t.ok(Number(head.headers.get('content-length')) > 50);
    t.equal(await head.text(), '');
    for (const path of [
      '/',
      '/nope',
      '/v1',
      '/v1/stock/a',
      '/v1/stock/a/b/c',
      '/v1/stock/a/b/restock/x',
      '//',
      '/v1/reservations//confirm',
    ]) {
      const reply = await client.call('GET', path);
      t.ok(reply.status === 404 || reply.status === 405 || reply.status === 400, `${path} ${reply.status}`);
      t.equal(reply.headers.get('content-type'), 'application/problem+json');
    }
    for (const [method, path, allow] of [
      ['DELETE', `/v1/stock/${LOCATION}/${sku}`, 'GET, HEAD, PUT'],
      ['POST', '/livez', 'GET, HEAD'],
      ['GET', '/v1/reservations', 'POST'],
      ['PATCH', '/v1/reservations/x', 'GET, HEAD'],
    ] as const) {
      const response = await fetch(client.url + path, { method });
      t.equal(response.status, 405, `${method} ${path}`);
      t.equal(response.headers.get('allow'), allow);
      t.match(await response.json(), { code: 'method_not_allowed' });
    }
  });
}

/** Each process of a port counts for itself: asks until all have answered. */
async function metricsOfAll(client: Client, processes: number): Promise<string> {
  const found = new Map<string, string>();
  for (let tries = 0; tries < 200 && found.size < processes; tries += 1) {
    const reply = await client.call('GET', '/metrics', { headers: { connection: 'close' } });
    found.set(String(reply.headers.get('x-request-id')).split('-')[0] ?? '', reply.bytes.toString());
  }
  return [...found.values()].join('\n');
}

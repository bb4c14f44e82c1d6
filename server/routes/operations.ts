/** For those who run it: alive, ready, metrics, the API document, partitions. */
import { Type } from '@sinclair/typebox';
import type { Health } from '../health.js';
import type { Metrics } from '../metrics.js';
import { closed, named } from '../schemas/common.js';
import { route, type Route } from '../http/route.js';
import type { Services } from './services.js';

const Check = Type.Object(
  {
    name: Type.String(),
    ok: Type.Boolean(),
    required: Type.Boolean({ description: 'Whether readiness depends on it.' }),
  },
  closed,
);
const Readiness = named(
  'Readiness',
  Type.Object({ ready: Type.Boolean(), draining: Type.Boolean(), checks: Type.Array(Check) }, closed),
);
const Liveness = named('Liveness', Type.Object({ alive: Type.Literal(true) }, closed));

const Position = Type.Object({ epoch: Type.Integer(), seq: Type.Integer() }, closed);
const Partition = named(
  'Partition',
  Type.Object(
    {
      partition: Type.Integer(),
      node: Type.String(),
      open: Type.Boolean(),
      epoch: Type.Integer(),
      seq: Type.Integer({ description: 'Number of the last event.' }),
      persisted: Position,
      lag: Type.Integer({ description: 'Events that Postgres does not have yet.' }),
      logLength: Type.Integer(),
      nextDue: Type.Union([Type.Integer(), Type.Null()], { description: 'Milliseconds since 1970.' }),
    },
    closed,
  ),
);
const Partitions = named(
  'Partitions',
  Type.Object(
    {
      count: Type.Integer(),
      open: Type.Integer(),
      unreachable: Type.Array(Type.Integer()),
      lag: Type.Integer({ description: 'Events of all partitions that Postgres does not have yet.' }),
      items: Type.Array(Partition),
    },
    closed,
  ),
);

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function operationRoutes(health: Health, metrics: Metrics, document: () => string): Route[] {
  return [
    route({
      method: 'get',
      path: '/livez',
      operationId: 'getLiveness',
      tag: 'Operations',
      summary: 'Is the process alive?',
      access: 'public',
      essential: true,
      answers: { 200: { description: 'It is.', schema: Liveness } },
      handle: () => ({ status: 200, body: { alive: true } }),
    }),
    route({
      method: 'get',
      path: '/readyz',
      operationId: 'getReadiness',
      tag: 'Operations',
      summary: 'Should it be sent requests?',
      description: '503 until every partition was open once, and from the moment the process is told to end.',
      access: 'public',
      essential: true,
      answers: {
        200: { description: 'Yes.', schema: Readiness },
        503: { description: 'Not now.', schema: Readiness },
      },
      handle: () => {
        const body = health.report();
        return body.ready ? { status: 200, body } : { status: 503, body, retryAfter: 1 };
      },
    }),
    route({
      method: 'get',
      path: '/metrics',
      operationId: 'getMetrics',
      tag: 'Operations',
      summary: 'Metrics for Prometheus.',
      access: 'public',
      essential: true,
      answers: { 200: { description: 'Text format 0.0.4.', types: ['text/plain'] } },
      handle: async () => ({ status: 200, raw: { type: METRICS_TYPE, bytes: await metrics.text() } }),
    }),
    route({
      method: 'get',
      path: '/openapi.json',
      operationId: 'getOpenApi',
      tag: 'Operations',
      summary: 'This document.',
      access: 'public',
      answers: { 200: { description: 'OpenAPI 3.1.', schema: Type.Object({}), types: ['application/json'] } },
      handle: () => ({ status: 200, raw: { type: 'application/json', bytes: document() } }),
    }),
  ];
}

export function adminRoutes({ engine }: Services): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/admin/partitions',
      operationId: 'getPartitions',
      tag: 'Operations',
      summary: 'Partitions: where they are, whether they are open, how far Postgres is behind.',
      access: ['admin'],
      answers: { 200: { description: 'All partitions whose nodes can be reached.', schema: Partitions } },
      problems: ['shard_unavailable', 'overloaded'],
      handle: async () => {
        const found = await engine.partitions.status();
        const items = found.map(({ partition, node, open, epoch, seq, persisted, logLength, nextDue }) => ({
          partition,
          node,
          open,
          epoch,
          seq,
          persisted,
          lag: Math.max(0, seq - persisted.seq),
          logLength,
          nextDue: nextDue ?? null,
        }));
        const reached = new Set(items.map(({ partition }) => partition));
        const unreachable = Array.from({ length: engine.partitions.count }, (_, index) => index).filter(
          (index) => !reached.has(index),
        );
        return {
          status: 200,
          body: {
            count: engine.partitions.count,
            open: items.filter(({ open }) => open).length,
            unreachable,
            lag: items.reduce((sum, { lag }) => sum + lag, 0),
            items,
          },
        };
      },
    }),
  ];
}

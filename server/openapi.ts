/** The OpenAPI 3.1 document, put together from the routes and their schemas: what is published is what is checked. */
import type { TSchema } from '@sinclair/typebox';
import { SUBPROTOCOL, TOKEN_PREFIX } from '../wire/stream.js';
import { ROLES } from './auth/caller.js';
import { JSON_TYPE, MESSAGEPACK_TYPE, PROBLEM_TYPE } from './http/encode.js';
import { PROBLEMS, RETRY_AFTER } from './http/problems.js';
import type { Documented, Route } from './http/route.js';
import { nameOf, publishedAs } from './schemas/common.js';
import { ID_PATTERN } from './schemas/ids.js';
import { STREAM_PATH } from './ws/path.js';

type Json = Record<string, unknown>;

/** Codes that any route can answer. */
export const COMMON_PROBLEMS = ['invalid_request', 'overloaded', 'internal_error'];
const TOKEN_PROBLEMS = ['unauthenticated', 'issuer_unavailable'];
const BODY_PROBLEMS = ['request_timeout', 'payload_too_large', 'unsupported_media_type'];
const KEY_PROBLEMS = ['idempotency_in_flight', 'idempotency_mismatch', 'shard_unavailable'];

/** Every code a route can answer. */
export function problemsOf(route: Route): string[] {
  return [
    ...new Set([
      ...route.problems,
      ...(route.essential ? ['invalid_request', 'internal_error'] : COMMON_PROBLEMS),
      ...(route.access === 'public' ? [] : TOKEN_PROBLEMS),
      ...(someRolesOnly(route) ? ['forbidden'] : []),
      ...(route.method === 'get' ? [] : BODY_PROBLEMS),
      ...(route.idempotent ? KEY_PROBLEMS : []),
    ]),
  ];
}

const someRolesOnly = ({ access }: Route): boolean => Array.isArray(access) && access.length < ROLES.length;

export interface DocumentInfo {
  readonly version: string;
  readonly publicReads: boolean;
}

export function openApiDocument(routes: readonly Route[], info: DocumentInfo): Json {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= {});
    path[route.method] = operation(route, schemas, info.publicReads);
  }
  paths[STREAM_PATH] = { get: streamOperation() };
  schemas['Problem'] = problemSchema();
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version: info.version,
      description:
        'A stock engine for flash sales and ticket on-sales. Every body may be JSON or MessagePack, asked for by `Accept` and `Content-Type`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set([...routes.map(({ tag }) => tag), STREAM_TAG])].map((name) => ({ name })),
    paths,
    components: {
      schemas,
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  };
}

function operation(route: Route, schemas: Json, publicReads: boolean): Json {
  const open = route.access === 'public' || (route.access === 'read' && publicReads);
  const roles = typeof route.access === 'string' ? '' : ` Roles: ${route.access.join(', ')}.`;
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    description: `${route.description ?? route.summary}${roles}`,
    security: open ? [] : [{ bearer: [] }],
    parameters: parameters(route, schemas),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: !route.bodyOptional,
            content: bodyContent(publish(route.body.schema, schemas)),
          },
        }),
    responses: responses(route, schemas),
  };
}

const STREAM_TAG = 'Stream';

/** No route: uWebSockets.js takes the upgrade. What goes over it is beyond OpenAPI. */
function streamOperation(): Json {
  const text = { type: 'string' };
  return {
    operationId: 'openStream',
    tags: [STREAM_TAG],
    summary: 'Open a WebSocket for many requests at once and for subscriptions to items.',
    description:
      `Frames are MessagePack, described in docs/stream.md; the subprotocol is \`${SUBPROTOCOL}\`. A token goes into the ` +
      `\`Authorization\` header, into a second subprotocol \`${TOKEN_PREFIX}<jwt>\`, or into the first request.`,
    security: [{}, { bearer: [] }],
    parameters: [
      { name: 'Upgrade', in: 'header', required: true, schema: { ...text, enum: ['websocket'] } },
      { name: 'Sec-WebSocket-Protocol', in: 'header', required: false, schema: text },
    ],
    responses: {
      101: { description: 'The connection is a WebSocket now.' },
      401: problemResponse(['unauthenticated']),
      503: problemResponse(['overloaded', 'issuer_unavailable']),
    },
  };
}

function bodyContent(schema: unknown): Json {
  return { [JSON_TYPE]: { schema }, [MESSAGEPACK_TYPE]: { schema } };
}

function parameters(route: Route, schemas: Json): Json[] {
  const list: Json[] = route.params.map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', pattern: ID_PATTERN },
  }));
  for (const [name, schema] of Object.entries(route.query?.schema.properties ?? {})) {
    const required = (route.query?.schema.required ?? []).includes(name);
    list.push({
      name,
      in: 'query',
      required,
      schema: publish(schema, schemas),
      description: schema.description ?? name,
    });
  }
  if (route.idempotent) {
    list.push({
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description: 'Quoted or bare. The same key and body gets the same answer again for 24 hours.',
      schema: { type: 'string', minLength: 1, maxLength: 257 },
    });
  }
  if (route.method !== 'get' && route.tag !== 'Operations') {
    list.push({
      name: 'Prefer',
      in: 'header',
      required: false,
      description: '`ack=executed`, `ack=replicated` or `ack=durable`; `ack` in the body goes before it.',
      schema: { type: 'string' },
    });
  }
  return list;
}

function responses(route: Route, schemas: Json): Json {
  const found: Json = {};
  for (const [status, documented] of Object.entries(route.answers)) {
    found[status] = {
      description: documented.description,
      headers: answerHeaders(route, Number(status)),
      ...content(documented, schemas),
    };
  }
  const byStatus = new Map<number, string[]>();
  for (const code of problemsOf(route)) {
    const status = PROBLEMS.get(code)?.http ?? 500;
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  for (const [status, codes] of byStatus) found[status] = problemResponse(codes);
  return found;
}

function content({ schema, types }: Documented, schemas: Json): Json {
  if (types !== undefined) {
    const shape = { schema: schema === undefined ? { type: 'string' } : publish(schema, schemas) };
    return { content: Object.fromEntries(types.map((type) => [type, shape])) };
  }
  return schema === undefined ? {} : { content: bodyContent(publish(schema, schemas)) };
}

const header = (description: string, type = 'string'): Json => ({ description, schema: { type } });

function answerHeaders(route: Route, status: number): Json {
  return {
    'X-Request-Id': header('The id of the request, yours or ours.'),
    'X-Response-Time': header('Milliseconds.', 'number'),
    ...(route.idempotent ? { 'Idempotent-Replayed': header('`true` where an earlier answer is given again.') } : {}),
    ...(status === 201 && route.operationId === 'reserve' ? { Location: header('Where it can be looked at.') } : {}),
    ...(status === 202 ? { 'Retry-After': header('Seconds.', 'integer') } : {}),
  };
}

function problemResponse(codes: readonly string[]): Json {
  const schema = {
    allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: { enum: [...codes] } } }],
  };
  const retry = codes.some((code) => RETRY_AFTER[code] !== undefined);
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS.get(code)?.description ?? ''}`).join('\n\n'),
    headers: {
      'X-Request-Id': header('The id of the request.'),
      ...(retry ? { 'Retry-After': header('Seconds.', 'integer') } : {}),
    },
    content: { [PROBLEM_TYPE]: { schema }, [MESSAGEPACK_TYPE]: { schema } },
  };
}

function problemSchema(): Json {
  const text = { type: 'string' };
  return {
    type: 'object',
    description: 'RFC 9457.',
    required: ['type', 'title', 'status', 'detail', 'code', 'requestId'],
    properties: {
      type: { type: 'string', format: 'uri' },
      title: text,
      status: { type: 'integer' },
      detail: text,
      code: { type: 'string', enum: [...PROBLEMS.keys()], description: 'Stable; for programs.' },
      errors: {
        type: 'array',
        description: 'What is wrong, a field, a line or an item each.',
        items: {
          type: 'object',
          required: ['code'],
          properties: {
            field: text,
            line: { type: 'integer', minimum: 0, description: 'Index into the lines of the request.' },
            location: text,
            sku: text,
            code: text,
            detail: text,
            available: {
              type: 'integer',
              description: 'What is left; for buyer_limit what this buyer may still take.',
            },
          },
        },
      },
      reservationId: { ...text, description: 'For outcome_unknown: ask again by this id.' },
      movementId: { ...text, description: 'For outcome_unknown: ask again by this id.' },
      orderId: { ...text, description: 'For outcome_unknown: ask again by this id.' },
      requestId: text,
    },
  };
}

/** A schema as plain JSON, named ones moved to the components. */
function publish(schema: TSchema, schemas: Json): unknown {
  const shown = publishedAs(schema) ?? schema;
  const name = nameOf(shown);
  if (name === undefined) return plain(shown, schemas);
  if (schemas[name] === undefined) {
    // Set first: it marks the name as taken should the schema contain itself.
    schemas[name] = {};
    schemas[name] = plain(shown, schemas);
  }
  return { $ref: `#/components/schemas/${name}` };
}

function plain(value: unknown, schemas: Json): unknown {
  if (Array.isArray(value))
    return value.map((entry: unknown) => (isSchema(entry) ? publish(entry as TSchema, schemas) : entry));
  const copy: Json = {};
  for (const [key, entry] of Object.entries(value as Json)) {
    if (key === 'expects') continue;
    if (key === 'properties' || key === 'patternProperties') {
      copy[key] = Object.fromEntries(
        Object.entries(entry as Json).map(([name, schema]) => [name, publish(schema as TSchema, schemas)]),
      );
    } else if (key === 'items' && Array.isArray(entry)) {
      // What the validators know as a tuple is called prefixItems since 2020-12.
      copy['prefixItems'] = plain(entry, schemas);
      copy['items'] = false;
    } else if (key !== 'additionalItems')
      copy[key] = isSchema(entry) || Array.isArray(entry) ? nested(entry, schemas) : entry;
  }
  return copy;
}

const nested = (entry: unknown, schemas: Json): unknown =>
  Array.isArray(entry) ? plain(entry, schemas) : publish(entry as TSchema, schemas);

const isSchema = (entry: unknown): boolean => typeof entry === 'object' && entry !== null && !Array.isArray(entry);

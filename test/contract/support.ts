/**
 * A running system seen only over HTTP, and the document it serves: every answer a test gets is held against it, so that
 * no test can pass on an answer the document does not describe.
 */
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { SignJWT } from 'jose';
import { unpack } from 'msgpackr';
import { randomBytes } from 'node:crypto';
import { startStack, testCluster, testDatabase, type TestStack } from '../harness/index.js';

export type Role = 'buyer' | 'service' | 'admin';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The body, whichever format it came in; undefined where it is neither JSON nor MessagePack. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers of every shape
  readonly body: any;
  readonly code: string | undefined;
}

export interface CallOptions {
  /** `role` or `role:sub`. */
  readonly as?: Role | `${Role}:${string}`;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Buffer;
  readonly headers?: Record<string, string>;
}

export interface Operation {
  readonly operationId: string;
  readonly method: string;
  readonly path: string;
  readonly idempotent: boolean;
  readonly secured: boolean;
  readonly hasBody: boolean;
  /** Error codes by status, as documented. */
  readonly codes: ReadonlyMap<number, readonly string[]>;
}

type Json = Record<string, unknown>;

export class Client {
  /** `operationId code` of every answer seen, successes as their status. */
  readonly seen = new Set<string>();
  private document: Json = {};
  private operations: Operation[] = [];
  private patterns: { pattern: RegExp; operation: Operation }[] = [];
  private readonly validators = new Map<string, ValidateFunction>();
  private readonly ajv = addFormats.default(new Ajv2020.default({ strict: false, allErrors: true }));
  private readonly tokens = new Map<string, Promise<string>>();

  constructor(
    readonly url: string,
    private readonly secret: string,
  ) {}

  async load(): Promise<this> {
    const response = await fetch(`${this.url}/openapi.json`);
    this.document = (await response.json()) as Json;
    this.ajv.addSchema(this.document, 'document');
    this.operations = operationsOf(this.document);
    this.patterns = this.operations.map((operation) => ({
      pattern: new RegExp(`^${operation.path.replace(/\{\w+\}/g, '[^/]+')}$`),
      operation,
    }));
    return this;
  }

  get all(): readonly Operation[] {
    return this.operations;
  }

  get openApi(): Json {
    return this.document;
  }

  authorization(as: string): Promise<string> {
    let token = this.tokens.get(as);
    if (token === undefined) this.tokens.set(as, (token = this.sign(as)));
    return token;
  }

  /** Sends a request and holds the answer against the document. @throws where they disagree */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Reply> {
    const { as, body, raw, headers } = options;
    const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(as === undefined ? {} : { authorization: await this.authorization(as) }),
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent === undefined ? {} : { body: sent }),
    });
    const reply = await toReply(response);
    this.check(method, path, reply);
    return reply;
  }

  /** @throws unless the document says that this operation may be answered like this */
  check(method: string, path: string, reply: Reply): void {
    const operation = this.operationFor(method, path);
    if (operation === undefined) return;
    const what = `${operation.operationId} ${reply.status} ${reply.code ?? ''}`;
    const type = (reply.headers.get('content-type') ?? '').split(';')[0] ?? '';
    const validate = this.validator(operation, reply.status, type);
    if (validate === undefined)
      throw new Error(`${what}: not documented with ${type}: ${reply.bytes.toString().slice(0, 300)}`);
    if (reply.body !== undefined && !validate(reply.body)) {
      throw new Error(`${what}: ${this.ajv.errorsText(validate.errors)}: ${JSON.stringify(reply.body).slice(0, 500)}`);
    }
    if (reply.headers.get('x-request-id') === null) throw new Error(`${what}: without X-Request-Id`);
    if ([202, 503, 429].includes(reply.status) && reply.headers.get('retry-after') === null) {
      throw new Error(`${what}: without Retry-After`);
    }
    this.seen.add(`${operation.operationId} ${reply.code ?? reply.status}`);
  }

  operationFor(method: string, path: string): Operation | undefined {
    const bare = path.split('?')[0] ?? '';
    const wanted = method.toLowerCase();
    return this.patterns.find(({ pattern, operation }) => operation.method === wanted && pattern.test(bare))?.operation;
  }

  private validator(operation: Operation, status: number, type: string): ValidateFunction | undefined {
    const pointer = ['paths', operation.path, operation.method, 'responses', String(status), 'content', type];
    if (walk(this.document, pointer) === undefined) return undefined;
    const ref = `document#/${[...pointer, 'schema'].map(escapePointer).join('/')}`;
    let found = this.validators.get(ref);
    if (found === undefined) this.validators.set(ref, (found = this.ajv.compile({ $ref: ref })));
    return found;
  }

  private async sign(as: string): Promise<string> {
    const [role = '', sub = role] = as.split(':');
    const token = await new SignJWT({ role })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(sub)
      .setIssuer('holdfast')
      .setAudience('holdfast')
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(this.secret));
    return `Bearer ${token}`;
  }
}

export async function toReply(response: Response): Promise<Reply> {
  const bytes = Buffer.from(await response.arrayBuffer());
  const type = response.headers.get('content-type') ?? '';
  let body: unknown;
  if (type.includes('json')) body = JSON.parse(bytes.toString());
  else if (type.includes('msgpack')) body = unpack(bytes);
  const code = response.status >= 400 ? (body as { code?: string } | undefined)?.code : undefined;
  return { status: response.status, headers: response.headers, bytes, body, code };
}

function operationsOf(document: Json): Operation[] {
  const paths = document['paths'] as Record<string, Record<string, Json>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    // An upgrade is no request that fetch could make; test/stream has it.
    Object.entries(methods)
      .filter(([, { responses }]) => !('101' in (responses as Json)))
      .map(([method, operation]) => ({
        operationId: String(operation['operationId']),
        method,
        path,
        idempotent: JSON.stringify(operation['parameters']).includes('Idempotency-Key'),
        secured: (operation['security'] as unknown[]).length > 0,
        hasBody: operation['requestBody'] !== undefined,
        codes: codesOf(operation['responses'] as Record<string, Json>),
      })),
  );
}

function codesOf(responses: Record<string, Json>): Map<number, readonly string[]> {
  const codes = new Map<number, readonly string[]>();
  for (const [status, response] of Object.entries(responses)) {
    const found = walk(response, [
      'content',
      'application/problem+json',
      'schema',
      'allOf',
      '1',
      'properties',
      'code',
      'enum',
    ]);
    if (Array.isArray(found)) codes.set(Number(status), found as string[]);
  }
  return codes;
}

function walk(from: unknown, pointer: readonly string[]): unknown {
  return pointer.reduce<unknown>((at, key) => (at === undefined || at === null ? undefined : (at as Json)[key]), from);
}

const escapePointer = (part: string): string => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));

/** Names that no other test uses. */
export const fresh = (prefix: string): string => `${prefix}-${randomBytes(6).toString('hex')}`;

/** Servers and a worker on the run's own cluster and database, apart from all others by key prefix and database. */
export async function startSystem(
  options: { servers?: number; env?: Record<string, string> } = {},
): Promise<TestStack> {
  const [cluster, database] = await Promise.all([testCluster(), testDatabase()]);
  return startStack({
    redisUrl: cluster.url,
    databaseUrl: database.url,
    servers: options.servers ?? 1,
    workers: 1,
    env: { HOLDFAST_KEY_PREFIX: cluster.prefix, HOLDFAST_PARTITIONS: '16', ...options.env },
  });
}

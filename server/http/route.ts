/** What a route is: everything that is checked, published and measured about it comes from this one description. */
import type { Static, TObject, TProperties, TSchema } from '@sinclair/typebox';
import { validator, type Validator } from '../schemas/validate.js';
import type { HttpRequest } from 'uWebSockets.js';
import type { Role } from '../auth/caller.js';
import type { Load } from '../limits/gate.js';
import type { Exchange } from './exchange.js';

/** What a handler answers. `body` is encoded as the client asked; `raw` goes out as it is. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  /** The body as JSON, instead: for a client that wants no MessagePack. */
  readonly json?: string;
  readonly raw?: { readonly type: string; readonly bytes: Buffer | string };
  readonly headers?: readonly (readonly [string, string])[];
  /** Seconds; sent as Retry-After. Such an answer is not final, so it is never stored for replay. */
  readonly retryAfter?: number;
}

/** `public`: nobody has to say who they are. `read`: public unless configured otherwise. Else: the roles that may. */
export type Access = 'public' | 'read' | readonly Role[];

export interface Documented {
  readonly description: string;
  readonly schema?: TSchema;
  /** Media types where they are not the negotiated JSON or MessagePack. */
  readonly types?: readonly string[];
}

export interface Input<Q, B> {
  readonly query: Q;
  readonly body: B;
}

export interface RouteSpec<Q extends TObject | undefined, B extends TSchema | undefined> {
  readonly method: 'get' | 'post' | 'put';
  /** With `{name}` for parameters, each an id; handlers find them in order in `Exchange.params`. */
  readonly path: string;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  readonly query?: Q;
  readonly body?: B;
  /** A request without a body is taken as `{}`. */
  readonly bodyOptional?: boolean;
  /** Bytes; DEFAULT_BODY_BYTES otherwise. */
  readonly maxBody?: number;
  /** Heeds Idempotency-Key. */
  readonly idempotent?: boolean;
  /** Makes the id of the change from the hash of the key's scope and the content's fingerprint, where the hash alone will not do. */
  readonly makeId?: (
    input: Input<Q extends TObject ? Static<Q> : undefined, B extends TSchema ? Static<B> : undefined>,
    hash: string,
    fingerprint: string,
  ) => string;
  /** What the id is called by which an unknown outcome can be asked for again. */
  readonly idField?: 'reservationId' | 'movementId' | 'orderId';
  /** Answered even when the server is full: probes and metrics. */
  readonly essential?: boolean;
  /** What is given up first under pressure; default: `read` for GET, else `write`. */
  readonly load?: Load;
  /**
   * Answers from memory before anything else is done for the request: undefined sends it on its usual way. Only for reads that
   * are open to everybody, and only while they are.
   * @param packed the client would rather have MessagePack
   * @param now performance.now()
   */
  readonly instant?: (req: HttpRequest, packed: boolean, now: number) => Buffer | string | undefined;
  /** Answers from memory once it is known who asks, before query and body are validated; undefined: the usual way. */
  readonly quick?: (x: Exchange, body: Buffer) => Answer | undefined;
  readonly answers: Readonly<Record<number, Documented>>;
  /** Codes it can answer beside those every route can. */
  readonly problems?: readonly string[];
  readonly handle: (
    x: Exchange,
    input: Input<Q extends TObject ? Static<Q> : undefined, B extends TSchema ? Static<B> : undefined>,
  ) => Answer | Promise<Answer>;
}

export interface Route {
  readonly method: 'get' | 'post' | 'put';
  readonly path: string;
  readonly params: readonly string[];
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly description: string | undefined;
  readonly access: Access;
  readonly query: Validator<TObject> | undefined;
  readonly body: Validator<TSchema> | undefined;
  readonly bodyOptional: boolean;
  readonly maxBody: number;
  readonly idempotent: boolean;
  readonly makeId: ((input: Input<unknown, unknown>, hash: string, fingerprint: string) => string) | undefined;
  readonly idField: string | undefined;
  readonly essential: boolean;
  readonly load: Load;
  readonly instant: ((req: HttpRequest, packed: boolean, now: number) => Buffer | string | undefined) | undefined;
  readonly quick: ((x: Exchange, body: Buffer) => Answer | undefined) | undefined;
  readonly answers: Readonly<Record<number, Documented>>;
  readonly problems: readonly string[];
  readonly handle: (x: Exchange, input: Input<unknown, unknown>) => Answer | Promise<Answer>;
}

/** Every body but an import fits many times. */
export const DEFAULT_BODY_BYTES = 256 * 1024;

export function route<
  Q extends TObject<TProperties> | undefined = undefined,
  B extends TSchema | undefined = undefined,
>(spec: RouteSpec<Q, B>): Route {
  return {
    method: spec.method,
    path: spec.path,
    params: [...spec.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ''),
    operationId: spec.operationId,
    tag: spec.tag,
    summary: spec.summary,
    description: spec.description,
    access: spec.access,
    query: spec.query === undefined ? undefined : validator(spec.query),
    body: spec.body === undefined ? undefined : validator(spec.body),
    bodyOptional: spec.bodyOptional ?? false,
    maxBody: spec.maxBody ?? DEFAULT_BODY_BYTES,
    idempotent: spec.idempotent ?? false,
    makeId: spec.makeId as Route['makeId'],
    idField: spec.idField,
    essential: spec.essential ?? false,
    load: spec.load ?? (spec.method === 'get' ? 'read' : 'write'),
    instant: spec.instant,
    quick: spec.quick,
    answers: spec.answers,
    problems: spec.problems ?? [],
    // The validators have made the input what the handler's types say.
    handle: spec.handle as Route['handle'],
  };
}

/**
 * Every `code` an error answer can carry: those of the operations come from the registry of statuses, those that only
 * exist over HTTP stand here. Docs, OpenAPI document and tests are held to this one table.
 */
import { statuses, type StatusName } from '../../engine/scripts/generated/statuses.js';

export interface ProblemKind {
  readonly code: string;
  readonly http: number;
  readonly title: string;
  readonly description: string;
}

const http = (code: string, status: number, title: string, description: string): ProblemKind => ({
  code,
  http: status,
  title,
  description,
});

/** Codes that no script answers. */
export const HTTP_PROBLEMS = {
  invalid_request: http(
    'invalid_request',
    400,
    'Invalid request',
    'Something in the request is missing, malformed or out of its range.',
  ),
  unauthenticated: http('unauthenticated', 401, 'Not authenticated', 'A valid bearer token is needed.'),
  forbidden: http('forbidden', 403, 'Not allowed', 'The role of the token does not allow this.'),
  not_found: http('not_found', 404, 'Not found', 'There is nothing at this address.'),
  method_not_allowed: http(
    'method_not_allowed',
    405,
    'Method not allowed',
    'The address exists, but not for this method.',
  ),
  request_timeout: http('request_timeout', 408, 'Request too slow', 'The body did not arrive in time.'),
  idempotency_in_flight: http(
    'idempotency_in_flight',
    409,
    'Still in flight',
    'Another request with the same id or key is being carried out.',
  ),
  payload_too_large: http('payload_too_large', 413, 'Body too large', 'The body is larger than this route takes.'),
  unsupported_media_type: http(
    'unsupported_media_type',
    415,
    'Unsupported media type',
    'Bodies are application/json or application/msgpack.',
  ),
  idempotency_mismatch: http(
    'idempotency_mismatch',
    422,
    'Idempotency key reused',
    'The Idempotency-Key was used before for another request.',
  ),
  internal_error: http(
    'internal_error',
    500,
    'Internal error',
    'Something went wrong on the server; it is logged under the request id.',
  ),
  overloaded: http('overloaded', 503, 'Overloaded', 'More is being asked for than can be done; nothing was changed.'),
  shard_unavailable: http(
    'shard_unavailable',
    503,
    'Shard unavailable',
    'The part of the store that holds this item cannot be reached right now; nothing was changed.',
  ),
  outcome_unknown: http(
    'outcome_unknown',
    503,
    'Outcome unknown',
    'It is not known whether the change was made. Repeating with the same id is safe and tells.',
  ),
  issuer_unavailable: http(
    'issuer_unavailable',
    503,
    'Token issuer unavailable',
    'The keys of the token issuer cannot be fetched right now.',
  ),
  database_unavailable: http(
    'database_unavailable',
    503,
    'Database unavailable',
    'This answer comes from Postgres, which cannot be reached or is not configured.',
  ),
} as const satisfies Record<string, ProblemKind>;

export type HttpProblemCode = keyof typeof HTTP_PROBLEMS;

/** Statuses that refuse, as codes. */
export type RefusalStatus = Exclude<StatusName, 'ok' | 'exists'>;

const refusals = new Map<string, ProblemKind>();
for (const status of Object.values(statuses)) {
  if (status.kind === 'ok') continue;
  refusals.set(status.name, http(status.code, status.http, status.title, status.description));
}

/** Codes of refusals, the first status that carries each giving its title. */
const byCode = new Map<string, ProblemKind>(Object.entries(HTTP_PROBLEMS));
for (const kind of refusals.values()) if (!byCode.has(kind.code)) byCode.set(kind.code, kind);

/** All problems, by code. */
export const PROBLEMS: ReadonlyMap<string, ProblemKind> = byCode;

export function problemOfStatus(status: RefusalStatus): ProblemKind {
  return refusals.get(status) ?? HTTP_PROBLEMS.internal_error;
}

/** Seconds after which a try is worth it, by code; codes that are absent carry no Retry-After. */
export const RETRY_AFTER: Readonly<Record<string, number>> = {
  idempotency_in_flight: 1,
  overloaded: 1,
  shard_unavailable: 1,
  outcome_unknown: 1,
  database_unavailable: 5,
  issuer_unavailable: 5,
};

/** One entry of `errors[]`: a field, a line or an item, and what is wrong with it. */
export interface ProblemDetail {
  readonly field?: string;
  readonly line?: number;
  readonly location?: string;
  readonly sku?: string;
  readonly code: string;
  readonly detail?: string;
  readonly available?: number;
}

/** Thrown by whatever cannot go on; becomes an `application/problem+json` answer. */
export class Problem extends Error {
  constructor(
    readonly kind: ProblemKind,
    readonly detail: string,
    readonly extra: {
      readonly errors?: readonly ProblemDetail[];
      readonly id?: readonly [field: string, id: string];
      /** Seconds, where they differ from what the code usually says. */
      readonly retryAfter?: number;
    } = {},
    /** Headers this problem needs, e.g. WWW-Authenticate. */
    readonly headers: readonly (readonly [string, string])[] = [],
  ) {
    // Most requests of a flash sale end here: no stack is taken for what is an answer and not a defect.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(detail);
    Error.stackTraceLimit = limit;
    this.name = 'Problem';
  }
}

export function problem(
  code: HttpProblemCode,
  detail?: string,
  extra?: Problem['extra'],
  headers?: readonly (readonly [string, string])[],
): Problem {
  const kind = HTTP_PROBLEMS[code];
  return new Problem(kind, detail ?? kind.description, extra, headers);
}

/** A 400 about one field. */
export function invalidField(field: string, detail: string): Problem {
  return problem('invalid_request', `${field}: ${detail}`, { errors: [{ field, code: 'invalid', detail }] });
}

export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly errors?: readonly ProblemDetail[];
  /** For outcome_unknown: the id to ask again by, where the route has one. */
  readonly reservationId?: string;
  readonly movementId?: string;
  readonly orderId?: string;
  readonly requestId: string;
}

export function problemBody(found: Problem, requestId: string): ProblemBody {
  const { kind, detail, extra } = found;
  return {
    type: `urn:holdfast:problem:${kind.code}`,
    title: kind.title,
    status: kind.http,
    detail,
    code: kind.code,
    ...(extra.errors === undefined ? {} : { errors: extra.errors }),
    ...(extra.id === undefined ? {} : { [extra.id[0]]: extra.id[1] }),
    requestId,
  };
}

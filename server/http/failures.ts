/** What the engine throws or refuses → what the client is told. */
import { EngineClosed, InvalidArgument, OutcomeUnknown, Overloaded, ShardUnavailable } from '../../engine/errors.js';
import type { Line, Refusal } from '../../engine/types.js';
import { Problem, problem, problemOfStatus, type ProblemDetail } from './problems.js';

/** Undefined for what nobody expected: that is logged and answered as `internal_error`. */
export function problemOf(error: unknown, idField?: string): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error instanceof OutcomeUnknown) {
    const known = idField !== undefined && error.id !== undefined;
    return problem('outcome_unknown', undefined, known ? { id: [idField, error.id] } : undefined);
  }
  if (error instanceof ShardUnavailable) return problem('shard_unavailable');
  if (error instanceof Overloaded) return problem('overloaded');
  if (error instanceof InvalidArgument) return problem('invalid_request', error.message);
  if (error instanceof EngineClosed) return problem('shard_unavailable', 'The server is shutting down.');
  return undefined;
}

/** A refusal of the engine as a Problem, naming the line it is about. (S6: too little stock says what is left) */
export function refused(refusal: Refusal, lines?: readonly Line[]): Problem {
  const kind = problemOfStatus(refusal.status);
  const { item, available } = refusal;
  if (item === undefined) return new Problem(kind, kind.description);
  const line = lines?.findIndex(({ location, sku }) => location === item.location && sku === item.sku) ?? -1;
  const detail: ProblemDetail = {
    ...(line >= 0 ? { line } : {}),
    location: item.location,
    sku: item.sku,
    code: kind.code,
    ...(available === undefined ? {} : { available }),
  };
  const left = available === undefined ? '' : ` ${available} left.`;
  return new Problem(kind, `${item.location}:${item.sku}: ${kind.description}${left}`, { errors: [detail] });
}

/**
 * What calls reject with. Refusals (too little stock, an unknown id) are answers, not errors.
 * `server` maps `code` to HTTP; the texts are for people and carry no personal data.
 */

export type EngineErrorCode =
  'shard_unavailable' | 'outcome_unknown' | 'overloaded' | 'invalid_argument' | 'engine_closed' | 'script_failed';

export interface EngineErrorDetails {
  readonly partition?: number;
  /** After how many ms a repetition makes sense. */
  readonly retryAfterMs?: number;
  /** The id to ask again by. */
  readonly id?: string;
  readonly cause?: unknown;
}

/**
 * Made in thousands when a shard is down, so no stack trace is taken: it would show the batcher, not the caller.
 */
export abstract class EngineError extends Error {
  readonly partition: number | undefined;
  readonly retryAfterMs: number;
  readonly id: string | undefined;

  constructor(
    readonly code: EngineErrorCode,
    message: string,
    details: EngineErrorDetails = {},
  ) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    Error.stackTraceLimit = limit;
    this.name = new.target.name;
    this.partition = details.partition;
    this.retryAfterMs = details.retryAfterMs ?? 0;
    this.id = details.id;
  }
}

/** The partition could not be reached or is not open. Nothing was executed. */
export class ShardUnavailable extends EngineError {
  constructor(message: string, details: EngineErrorDetails = {}) {
    super('shard_unavailable', message, { retryAfterMs: 1000, ...details });
  }
}

/** The call may have been executed or not; repeating it under the same id is safe and tells. */
export class OutcomeUnknown extends EngineError {
  constructor(message: string, details: EngineErrorDetails = {}) {
    super('outcome_unknown', message, { retryAfterMs: 500, ...details });
  }
}

/** Refused at once because a bound was reached (queue or memory). Nothing was executed. */
export class Overloaded extends EngineError {
  constructor(message: string, details: EngineErrorDetails = {}) {
    super('overloaded', message, { retryAfterMs: 250, ...details });
  }
}

/** The call is malformed; repeating it cannot help. Nothing was executed. */
export class InvalidArgument extends EngineError {
  constructor(message: string, details: EngineErrorDetails = {}) {
    super('invalid_argument', message, details);
  }
}

/** The engine is closed or closing. Nothing was executed. */
export class EngineClosed extends EngineError {
  constructor(message = 'The engine is closed.', details: EngineErrorDetails = {}) {
    super('engine_closed', message, details);
  }
}

/** A script ended with an error of its own: a defect of Holdfast, never of the caller. It may have written. */
export class ScriptFailed extends EngineError {
  constructor(message: string, details: EngineErrorDetails = {}) {
    super('script_failed', message, details);
  }
}

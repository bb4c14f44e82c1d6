/** Codes a call can end with that no server sends. */
export type LocalCode =
  /** Never sent in time: nothing was changed. */
  | 'not_connected'
  /** A read was not answered in time. */
  | 'timeout'
  /** The client was closed; what had been sent may have been carried out. */
  | 'closed';

export interface ErrorDetails {
  /** insufficient_stock: units left. buyer_limit: units the buyer may still take. */
  readonly available?: number;
  /** Index of the line that was refused. */
  readonly line?: number;
  /** outcome_unknown: the id to ask again by. */
  readonly id?: string;
}

/** What a call rejects with. `code` is a code of docs/http.md, or a LocalCode. */
export class HoldfastError extends Error {
  readonly available: number | undefined;
  readonly line: number | undefined;
  readonly id: string | undefined;

  constructor(
    readonly code: string,
    message: string,
    details: ErrorDetails = {},
  ) {
    // Refusals come in thousands during a sale, and their stack would show the socket, not the caller.
    const limits = Error as { stackTraceLimit?: number };
    const limit = limits.stackTraceLimit;
    limits.stackTraceLimit = 0;
    super(message);
    limits.stackTraceLimit = limit;
    this.name = 'HoldfastError';
    this.available = details.available;
    this.line = details.line;
    this.id = details.id;
  }
}

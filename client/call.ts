/** One call on its way: how it is asked, how its answer is read, and what may be said of it if none comes. */
import { ERROR_COLUMNS } from '../wire/stream.js';
import { HoldfastError } from './errors.js';
import type { Link } from './link.js';

export interface CallKind {
  /** A change: without an answer it is not known whether it was made. */
  readonly changes: boolean;
}

/** `first`: it was never sent before. */
export type Columns = (link: Link, id: number, first: boolean) => unknown[];

export const READ: CallKind = { changes: false };
export const CHANGE: CallKind = { changes: true };

/** Answers that are worth asking again by themselves: the server said that it could not, not that it would not. */
const RETRYABLE = new Set(['shard_unavailable', 'outcome_unknown', 'idempotency_in_flight', 'issuer_unavailable']);
/** Answers that say nothing about what an earlier, unanswered attempt has done. */
const SAYS_NOTHING = new Set([...RETRYABLE, 'overloaded', 'unauthenticated']);

export class Call {
  /** The connection it was sent on and not answered; undefined while it waits. */
  link: Link | undefined;
  /** It was sent, and that attempt may have been carried out. */
  maybe = false;
  /** By performance.now(): until then that attempt may still be under way in the server that took it. */
  underWayUntil = 0;
  attempts = 0;
  settled = false;

  constructor(
    readonly id: number,
    readonly kind: CallKind,
    /** The request's columns; what they name may be numbered anew on every connection. */
    readonly columns: Columns,
    private readonly read: (answer: readonly unknown[]) => unknown,
    /** By performance.now(). */
    readonly deadline: number,
    /** The id to ask again by. */
    readonly askAgainBy: string | undefined,
    private readonly resolve: (value: never) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  done(answer: readonly unknown[]): void {
    this.settled = true;
    try {
      this.resolve(this.read(answer) as never);
    } catch (error) {
      this.reject(error as Error);
    }
  }

  fail(error: Error): void {
    this.settled = true;
    this.reject(error);
  }

  /** It was sent on a connection that ended, to a server that did not take it. */
  notTaken(): void {
    this.link = undefined;
  }

  /** It was sent on a connection that is lost, to a server that ends what it took within so many ms. */
  lost(callMs: number): void {
    this.link = undefined;
    this.maybe = true;
    this.underWayUntil = performance.now() + callMs;
  }

  /**
   * Milliseconds until a refusal counts. Where an earlier attempt was not answered it may come after this one, and find what this one
   * lacked: units that were given back in between.
   */
  get doubtfulMs(): number {
    return this.kind.changes ? this.underWayUntil - performance.now() : 0;
  }

  retryable(code: string): boolean {
    return RETRYABLE.has(code);
  }

  /** An error answer that is final for this call. */
  refused(answer: readonly unknown[]): void {
    const code = answer[1] as string;
    if (code !== 'outcome_unknown' && this.maybe && this.kind.changes && SAYS_NOTHING.has(code))
      return this.fail(this.unknown());
    const available = answer[ERROR_COLUMNS.available] as number | null | undefined;
    const line = answer[ERROR_COLUMNS.line] as number | null | undefined;
    const detail = answer[ERROR_COLUMNS.detail] as string | null | undefined;
    const text = detail ?? (typeof available === 'number' ? `${code}: ${available} left` : code);
    const id = code === 'outcome_unknown' ? this.askAgainBy : undefined;
    this.fail(new HoldfastError(code, text, { available: available ?? undefined, line: line ?? undefined, id }));
  }

  /** Its time is over. */
  expired(): void {
    const sent = this.maybe || this.link !== undefined;
    if (!this.kind.changes) this.fail(new HoldfastError('timeout', 'There was no answer in time.'));
    else if (sent) this.fail(this.unknown());
    else this.fail(new HoldfastError('not_connected', 'It could not be sent in time; nothing was changed.'));
  }

  unknown(): HoldfastError {
    const text = 'It is not known whether the change was made. Repeating with the same id is safe and tells.';
    return new HoldfastError('outcome_unknown', text, { id: this.askAgainBy });
  }
}

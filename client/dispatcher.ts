/**
 * Calls under way: gathered into frames, held to their deadlines, sent again by their ids when a connection ends. Every change
 * has an id that is known before it is sent, so sending it again is always safe.
 */
import { Call, type CallKind, type Columns } from './call.js';
import { Connector, type ConnectorOptions } from './connector.js';
import { CALL_MS } from './defaults.js';
import { HoldfastError } from './errors.js';
import type { Link } from './link.js';
import { afterTurn } from './socket.js';

const SWEEP_MS = 20;
const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 500;
/** When the socket or the server's limit is full. */
const FULL_MS = 2;
const LAST_ID = 0xffff_fff0;

export interface DispatcherEvents {
  up(link: Link): void;
  down(): void;
  tokenRefused(error: HoldfastError): void;
  changes(link: Link, columns: unknown[]): void;
  vouch(link: Link, staleMs: number, unusual: unknown[]): void;
}

export class Dispatcher {
  readonly connector: Connector;
  private readonly calls = new Map<number, Call>();
  private queue: Call[] = [];
  private lastId = 0;
  private flushing = false;
  private sweeper: ReturnType<typeof setInterval> | undefined;
  private closed = false;

  constructor(
    options: ConnectorOptions,
    private readonly maxInFlight: number,
    private readonly events: DispatcherEvents,
  ) {
    this.connector = new Connector(options, {
      up: (link) => {
        events.up(link);
        this.schedule();
      },
      lost: (link) => this.lost(link),
      answer: (link, answer) => this.answered(link, answer),
      changes: (link, columns) => events.changes(link, columns),
      vouch: (link, staleMs, unusual) => events.vouch(link, staleMs, unusual),
      tokenRefused: (error) => events.tokenRefused(error),
    });
  }

  get inFlight(): number {
    return this.calls.size;
  }

  /** @throws HoldfastError (as a rejection) `overloaded` when too many are under way, `closed` */
  submit<T>(
    kind: CallKind,
    columns: Columns,
    read: (answer: readonly unknown[]) => T,
    timeoutMs: number,
    askAgainBy?: string,
  ): Promise<T> {
    if (this.closed) return Promise.reject(new HoldfastError('closed', 'The client is closed.'));
    if (this.calls.size >= this.maxInFlight)
      return Promise.reject(
        new HoldfastError('overloaded', `${this.calls.size} calls are under way; nothing was sent.`),
      );
    return new Promise<T>((resolve, reject) => {
      const deadline = performance.now() + timeoutMs;
      const call = new Call(this.nextId(), kind, columns, read, deadline, askAgainBy, resolve, reject);
      this.calls.set(call.id, call);
      this.queue.push(call);
      this.schedule();
      this.sweeper ??= setInterval(() => this.sweep(), SWEEP_MS);
    });
  }

  close(): void {
    this.closed = true;
    this.connector.close();
    clearInterval(this.sweeper);
    for (const call of this.calls.values())
      call.fail(
        call.maybe && call.kind.changes ? call.unknown() : new HoldfastError('closed', 'The client was closed.'),
      );
    this.calls.clear();
    this.queue = [];
  }

  private nextId(): number {
    do this.lastId = this.lastId >= LAST_ID ? 1 : this.lastId + 1;
    while (this.calls.has(this.lastId));
    return this.lastId;
  }

  private schedule(): void {
    if (this.flushing) return;
    this.flushing = true;
    afterTurn(this.flush);
  }

  private readonly flush = (): void => {
    this.flushing = false;
    const { link } = this.connector;
    if (link === undefined) return;
    let at = 0;
    while (at < this.queue.length && link.takes) {
      const most = Math.min(link.perFrame, link.room);
      const requests: unknown[][] = [];
      for (; at < this.queue.length && requests.length < most; at++) {
        const call = this.queue[at]!;
        if (call.settled) continue;
        call.link = link;
        call.attempts++;
        link.inFlight++;
        requests.push(trimmed(call.columns(link, call.id, call.attempts === 1)));
      }
      if (requests.length > 0) link.send(requests);
    }
    this.queue = at === this.queue.length ? [] : this.queue.slice(at);
    if (this.queue.length > 0 && link.open) setTimeout(() => this.schedule(), FULL_MS);
  };

  private answered(link: Link, answer: unknown[]): void {
    const call = this.calls.get(answer[0] as number);
    // Its caller was answered when its time was over.
    if (call === undefined || call.link !== link) return;
    link.inFlight--;
    call.link = undefined;
    const code = answer[1];
    if (typeof code === 'number') return this.over(call, () => call.done(answer));
    if (code === 'outcome_unknown') call.maybe = true;
    if (call.retryable(code as string)) return this.later(call, () => this.over(call, () => call.refused(answer)));
    const { doubtfulMs } = call;
    if (doubtfulMs > 0) return this.later(call, () => this.over(call, () => call.fail(call.unknown())), doubtfulMs);
    if (code === 'unauthenticated' && this.connector.canRenew && call.attempts === 1) {
      void this.connector.renew().then((taken) => {
        if (taken && !call.settled) this.again(call);
        else this.over(call, () => call.refused(answer));
      });
      return;
    }
    this.over(call, () => call.refused(answer));
  }

  private over(call: Call, settle: () => void): void {
    if (call.settled) return;
    this.calls.delete(call.id);
    settle();
  }

  private again(call: Call): void {
    this.queue.push(call);
    this.schedule();
  }

  /** Once more after a pause, or never if its time does not last as long. */
  private later(call: Call, giveUp: () => void, leastMs = 0): void {
    const backoff =
      Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(call.attempts - 1, 10)) * (0.5 + Math.random() / 2);
    const pause = Math.max(backoff, leastMs);
    if (performance.now() + pause >= call.deadline) return giveUp();
    setTimeout(() => {
      if (!call.settled) this.again(call);
    }, pause);
  }

  /** What was sent and not answered goes to the next connection. */
  private lost(link: Link): void {
    const unanswered: Call[] = [];
    for (const call of this.calls.values()) {
      if (call.link !== link) continue;
      if (link.drained) call.notTaken();
      else call.lost(link.limits?.callMs ?? CALL_MS);
      unanswered.push(call);
    }
    this.queue = [...unanswered, ...this.queue];
    if (this.connector.link === undefined) this.events.down();
    else this.schedule();
  }

  private sweep(): void {
    const now = performance.now();
    for (const call of this.calls.values()) {
      if (call.deadline > now) continue;
      if (call.link !== undefined) call.link.inFlight--;
      this.over(call, () => call.expired());
    }
    if (this.calls.size > 0) return;
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }
}

/** Columns at the end that say nothing are not sent; those in between are nil. */
function trimmed(columns: unknown[]): unknown[] {
  let { length } = columns;
  while (columns[length - 1] === undefined || columns[length - 1] === null) length--;
  columns.length = length;
  for (let index = 0; index < length; index++) columns[index] ??= null;
  return columns;
}

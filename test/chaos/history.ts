/** Every call of a run, as its caller saw it: one line when it begins and one when it ends, appended as it happens. */
import { createWriteStream, type WriteStream } from 'node:fs';

export type Ack = 'executed' | 'replicated' | 'durable';

export interface LineAsked {
  readonly ref: string;
  readonly quantity: number;
}

/** What was asked. `id`: reservation, movement or order id; absent where the server was left to make one. */
export type Request =
  | {
      readonly op: 'reserve';
      readonly id?: string;
      readonly buyer: string;
      readonly lines: readonly LineAsked[];
      readonly holdSeconds: number;
    }
  | { readonly op: 'confirm' | 'release'; readonly id: string }
  | { readonly op: 'extend'; readonly id: string; readonly holdSeconds: number }
  | { readonly op: 'return'; readonly id: string; readonly lines?: readonly LineAsked[] }
  | {
      readonly op: 'deduct';
      readonly id: string;
      readonly ref: string;
      readonly quantity: number;
      readonly buyer: string;
    }
  | { readonly op: 'restock'; readonly id: string; readonly ref: string; readonly quantity: number }
  | {
      readonly op: 'adjust';
      readonly id: string;
      readonly ref: string;
      readonly by?: number;
      readonly countedTo?: number;
    }
  | { readonly op: 'read'; readonly refs: readonly string[]; readonly fresh: boolean }
  | { readonly op: 'find'; readonly id: string };

export type Op = Request['op'];

/** `ok`: done, with `ack`. `failed`: refused, nothing changed. `unknown`: no answer, or one that says so. */
export type OutcomeKind = 'ok' | 'failed' | 'unknown';

export interface Answer {
  readonly outcome: OutcomeKind;
  /** HTTP status, 0 where none came. */
  readonly status: number;
  /** Code of a problem, or why there is no answer. */
  readonly code?: string;
  readonly ack?: Ack;
  /** The answer's body. */
  readonly body?: unknown;
  /** It came from the store of Idempotency-Keys. */
  readonly replayed?: boolean;
}

export interface Call {
  readonly n: number;
  readonly client: string;
  /** Process that was asked. */
  readonly via: string;
  readonly request: Request;
  /** The ack asked for. */
  readonly wanted: Ack;
  /** How it was asked. */
  readonly over: 'http' | 'stream';
  /** Idempotency-Key, where one was sent. */
  readonly key?: string;
  /** Why it was made, if not as something new: `retry` of an unknown one, `again` (same content), `other` (other content). */
  readonly because?: 'retry' | 'again' | 'other';
  /** ms on the run's own clock, which only goes forward; and by the wall. */
  readonly began: number;
  readonly beganWall: number;
  /** Undefined: the run ended before. */
  ended?: number;
  endedWall?: number;
  answer?: Answer;
}

/** The run's clock: monotonic ms since its start. */
export function runClock(): () => number {
  const start = performance.now();
  return () => Math.round((performance.now() - start) * 1000) / 1000;
}

export class HistoryWriter {
  readonly calls: Call[] = [];
  private readonly out: WriteStream;

  constructor(
    file: string,
    readonly clock: () => number,
  ) {
    this.out = createWriteStream(file, { flags: 'a' });
  }

  begin(call: Omit<Call, 'n' | 'began' | 'beganWall' | 'ended' | 'endedWall' | 'answer'>): Call {
    const begun: Call = { n: this.calls.length, ...call, began: this.clock(), beganWall: Date.now() };
    this.calls.push(begun);
    this.out.write(`${JSON.stringify({ at: begun.began, is: 'invoked', ...begun })}\n`);
    return begun;
  }

  end(call: Call, answer: Answer): void {
    call.ended = this.clock();
    call.endedWall = Date.now();
    call.answer = answer;
    const { n, ended, endedWall } = call;
    this.out.write(`${JSON.stringify({ at: ended, is: answer.outcome, n, ended, endedWall, answer })}\n`);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.out.end(resolve));
  }
}

/** Operations that travel together: one script, one partition, one EVALSHA. */
import type { CallResult, Taker } from '../caller.js';
import type { Script } from '../scripts/script.js';
import type { Ack } from '../types.js';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a batch does not care what its operations are made of
export type AnyScript = Script<any, any, any>;

/** Acks by width, so that they can be compared. */
export const ACKS: readonly Ack[] = ['executed', 'replicated', 'durable'];
export const EXECUTED = 0;
export const REPLICATED = 1;
export const DURABLE = 2;

/** One call that waits for its answer. */
export class Pending {
  settled = false;
  /** It was in flight when a connection ended: it may have been executed. */
  maybe = false;
  /** It ran and waits for Postgres, apart from its batch. */
  elsewhere = false;
  /** Its answer, once executed, while a wider ack is waited for. */
  executed: CallResult<unknown> | undefined;

  constructor(
    readonly op: unknown,
    readonly deadline: number,
    readonly ack: number,
    readonly repeatable: boolean,
    private readonly taker: Taker<never>,
  ) {}

  get id(): string | undefined {
    return this.taker.id;
  }

  resolve(result: CallResult<unknown>): void {
    if (this.settled) return;
    this.settled = true;
    this.taker.answered(result as CallResult<never>);
  }

  reject(error: Error): void {
    if (this.settled) return;
    this.settled = true;
    this.taker.failed(error);
  }
}

/** Arguments of a call that travels alone. */
export interface OnceArgs {
  readonly args: unknown;
  readonly ops: readonly unknown[];
}

/** Operations that wait somewhere. */
export interface Counter {
  queued: number;
}

export interface BatchLimits {
  readonly ops: number;
  readonly items: number;
  /** Times an item is named, repeats included: bounds how long one script runs. */
  readonly mentions: number;
}

let counted = 0;
const count = (): void => void counted++;
let collecting: Map<string, number>;
const collect = (ref: string): void => {
  if (!collecting.has(ref)) collecting.set(ref, collecting.size + 1);
};

export class Batch {
  /** In the bag of those under way. */
  slot = -1;
  readonly pendings: Pending[] = [];
  /** What they ask for, in the same order. */
  readonly ops: unknown[] = [];
  /** Index (from 1) of each distinct item. */
  readonly items = new Map<string, number>();
  readonly itemIndex = (ref: string): number => this.items.get(ref)!;
  private mentions = 0;
  /** Calls that are not settled. */
  live = 0;
  /** Earliest deadline of a call that may not be settled yet. */
  nextDeadline = Infinity;
  lastDeadline = 0;
  /** Widest ack that a call asks for. */
  ack = EXECUTED;
  place: 'waiting' | 'flying' | 'gone' = 'waiting';
  /** Where its live calls are counted while it waits. */
  counter: Counter | undefined;

  constructor(
    readonly script: AnyScript,
    readonly partition: number,
    /** Set for a call of its own: nothing joins it. */
    readonly once?: OnceArgs,
  ) {
    if (once) for (const op of once.ops) this.collectItems(op);
  }

  /** False: there is no room for this operation. */
  add(pending: Pending, limits: BatchLimits): boolean {
    if (!this.once) {
      if (this.pendings.length >= limits.ops) return false;
      counted = 0;
      this.script.forEachItem(pending.op, count);
      const full = this.items.size + counted > limits.items || this.mentions + counted > limits.mentions;
      if (full && this.pendings.length > 0) return false;
      this.mentions += counted;
      this.collectItems(pending.op);
    }
    this.pendings.push(pending);
    this.ops.push(pending.op);
    this.live++;
    if (this.counter) this.counter.queued++;
    if (pending.deadline < this.nextDeadline) this.nextDeadline = pending.deadline;
    if (pending.deadline > this.lastDeadline) this.lastDeadline = pending.deadline;
    if (pending.ack > this.ack) this.ack = pending.ack;
    return true;
  }

  /** Begins or ends to be counted where it waits. */
  countAt(counter: Counter | undefined): void {
    if (this.counter) this.counter.queued -= this.live;
    this.counter = counter;
    if (counter) counter.queued += this.live;
  }

  resolve(pending: Pending, result: CallResult<unknown>): void {
    if (pending.settled) return;
    this.ended();
    pending.resolve(result);
  }

  reject(pending: Pending, error: Error): void {
    if (pending.settled) return;
    this.ended();
    pending.reject(error);
  }

  /** One of its calls is over, or somebody else's business now. */
  ended(): void {
    this.live--;
    if (this.counter) this.counter.queued--;
  }

  private collectItems(op: unknown): void {
    collecting = this.items;
    this.script.forEachItem(op, collect);
  }
}

/** First in, first out; batches that are gone are skipped. */
export class BatchQueue {
  private batches: Batch[] = [];
  private head = 0;

  push(batch: Batch): void {
    this.batches.push(batch);
  }

  peek(): Batch | undefined {
    while (this.head < this.batches.length) {
      const batch = this.batches[this.head]!;
      if (batch.place !== 'gone') return batch;
      this.head++;
    }
    if (this.head > 0) {
      this.batches = [];
      this.head = 0;
    }
    return undefined;
  }

  shift(): Batch | undefined {
    const batch = this.peek();
    if (batch) {
      this.head++;
      if (this.head > 1024) {
        this.batches = this.batches.slice(this.head);
        this.head = 0;
      }
    }
    return batch;
  }

  /** Empties the queue. */
  drain(): Batch[] {
    const rest = this.batches.slice(this.head).filter((batch) => batch.place !== 'gone');
    this.batches = [];
    this.head = 0;
    return rest;
  }
}

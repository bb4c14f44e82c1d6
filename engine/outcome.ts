/** Building answers, and the bits of control flow that every domain needs. */
import type { CallResult } from './caller.js';
import type { StatusName } from './scripts/generated/statuses.js';
import type { Ack, Done, ItemRef, Refusal } from './types.js';

const ORDER: Readonly<Record<Ack, number>> = { executed: 0, replicated: 1, durable: 2 };

/** The narrowest of several acks: what can be said of all of them together. */
export function narrowest(acks: readonly Ack[]): Ack {
  let least: Ack = acks[0] ?? 'executed';
  for (const ack of acks) if (ORDER[ack] < ORDER[least]) least = ack;
  return least;
}

export function isDone(status: StatusName): status is 'ok' | 'exists' {
  return status === 'ok' || status === 'exists';
}

export function done<T>(status: 'ok' | 'exists', value: T, ack: Ack): Done<T> {
  return { status, value, ack };
}

export function refusal(status: StatusName, item?: ItemRef, available?: number): Refusal {
  if (isDone(status)) throw new TypeError(`${status} is not a refusal`);
  return { status, ...(item && { item }), ...(available !== undefined && { available }) };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A budget of time over several calls in a row. */
export class Deadline {
  /** By performance.now(). */
  readonly end: number;

  constructor(timeoutMs: number) {
    this.end = performance.now() + Math.max(1, timeoutMs);
  }

  /** Milliseconds left, at least 1: a call that is made at all gets the chance to answer. */
  left(): number {
    return Math.max(1, Math.floor(this.end - performance.now()));
  }

  get passed(): boolean {
    return performance.now() >= this.end;
  }
}

/** Results of several calls as one: all of them, or the first error. Waits for every one either way. */
export async function all<R>(calls: readonly Promise<CallResult<R>>[]): Promise<CallResult<R>[]> {
  const settled = await Promise.allSettled(calls);
  const results: CallResult<R>[] = [];
  for (const outcome of settled) {
    if (outcome.status === 'rejected') throw outcome.reason;
    results.push(outcome.value);
  }
  return results;
}

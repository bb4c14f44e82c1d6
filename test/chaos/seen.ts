/** What callers saw while something was broken: of the calls that began between the fault and its end. */
import type { Ack, Call } from './history.js';

export interface Seen {
  readonly calls: number;
  /** Refused for a while (503, 429, nobody listened): nothing was changed, the same call may be made again. */
  readonly unavailable: number;
  /** The answer said that the outcome is unknown, or none came. */
  readonly unknown: number;
  /** Done, and told that it reached less than was asked for. */
  readonly weaker: number;
  /** The longest wait for an answer, whatever it said. */
  readonly slowestMs: number;
}

const STRENGTH: Readonly<Record<Ack, number>> = { executed: 0, replicated: 1, durable: 2 };

/** @param span ms of the run's clock; calls of the run itself (its probes) are left out */
export function seenDuring(calls: readonly Call[], { from, to }: { readonly from: number; readonly to: number }): Seen {
  const seen = { calls: 0, unavailable: 0, unknown: 0, weaker: 0, slowestMs: 0 };
  for (const { client, began, ended, answer, wanted } of calls) {
    if (client === 'probe' || began < from || began > to) continue;
    seen.calls++;
    if (ended !== undefined) seen.slowestMs = Math.max(seen.slowestMs, Math.round(ended - began));
    if (!answer || answer.outcome === 'unknown') seen.unknown++;
    else if (answer.outcome === 'failed' && isPassing(answer.status)) seen.unavailable++;
    else if (answer.ack && STRENGTH[answer.ack] < STRENGTH[wanted]) seen.weaker++;
  }
  return seen;
}

const isPassing = (status: number): boolean => status === 0 || status === 429 || status >= 500;

export function together(all: readonly Seen[]): Seen {
  const sum = (of: (seen: Seen) => number): number => all.reduce((total, one) => total + of(one), 0);
  return {
    calls: sum(({ calls }) => calls),
    unavailable: sum(({ unavailable }) => unavailable),
    unknown: sum(({ unknown }) => unknown),
    weaker: sum(({ weaker }) => weaker),
    slowestMs: Math.max(0, ...all.map(({ slowestMs }) => slowestMs)),
  };
}

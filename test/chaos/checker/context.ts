/** What all checks look at. */
import type { FinalState, Movement } from '../final/types.js';
import type { Call } from '../history.js';
import { type Effects } from './effects.js';
import type { Loss, Tails } from './losses.js';
import type { Model } from './model.js';
import type { Report } from './violation.js';

/** One fault of the run, on its clock (ms) and by the wall. */
export interface FaultSpan {
  readonly name: string;
  readonly loses: 'none' | 'one-node' | 'cluster';
  /** It moves clocks: what is told by comparing clocks is not checked around it. */
  readonly clocks: boolean;
  /** By how much the clock was moved, ms, where that is known. */
  shiftMs?: number;
  readonly from: number;
  /** Everything answered again. */
  to: number;
  readonly fromWall: number;
  toWall: number;
}

/** For so long something could not be reached by anybody: exact, by the wall, ms. */
export interface Outage {
  /** `durable`: Postgres was dead. `replicated`: the replica of these partitions' master heard nothing. */
  readonly ack: 'durable' | 'replicated';
  /** Undefined: all. */
  readonly partitions?: readonly number[];
  readonly from: number;
  readonly to: number;
}

/** A server process was found to have ended, on the run's clock: what it had not said yet, it never will. */
export interface ServerEnd {
  readonly name: string;
  /** When that was seen; it may have been at any time since `since`. */
  readonly at: number;
  readonly since?: number;
}

export interface CheckInput {
  readonly calls: readonly Call[];
  readonly final: FinalState;
  readonly faults: readonly FaultSpan[];
  readonly partitions: number;
  readonly serverEnds: readonly ServerEnd[];
  readonly outages?: readonly Outage[];
  /** ms for which a server may call an item sold out that has units again. */
  readonly soldOutMs: number;
}

export interface Checking extends CheckInput {
  readonly model: Model;
  readonly effects: Effects;
  readonly losses: readonly Loss[];
  /** What partitions lost, as the ledger tells. */
  readonly tails: Tails;
  readonly report: Report;
}

/** Clocks of processes on one machine, read one after the other: so many ms may lie between. */
export const CLOCK_MS = 20;

/** Whether a clock was off at any time from `fromWall` to `toWall`, or had been set off before and not back. */
export const clocksMovedDuring = ({ faults }: Pick<CheckInput, 'faults'>, fromWall: number, toWall: number): boolean =>
  faults.some((fault) => fault.clocks && fault.toWall >= fromWall && fault.fromWall <= toWall);

/**
 * When an event was made, by the wall, at the earliest and at the latest: its time is that of its node, whose clock may have been off.
 * An event of a clock that was off says a time within the fault, moved by as much as the clock was.
 */
export function whenMade(
  { faults }: Pick<CheckInput, 'faults'>,
  { at }: Pick<Movement, 'at'>,
): readonly [number, number] {
  let [least, most] = [at, at];
  for (const { clocks, shiftMs, fromWall, toWall } of faults) {
    if (!clocks) continue;
    if (shiftMs === undefined) return [-Infinity, Infinity];
    const moved = at - shiftMs;
    if (moved < fromWall - CLOCK_MS || moved > toWall + CLOCK_MS) continue;
    least = Math.min(least, moved);
    most = Math.max(most, moved);
  }
  return [least, most];
}

export const clocksMoved = ({ faults }: Pick<CheckInput, 'faults'>): boolean => faults.some(({ clocks }) => clocks);

/** What all checks look at. */
import type { FinalState } from '../final/types.js';
import type { Call } from '../history.js';
import { type Effects } from './effects.js';
import type { Loss } from './losses.js';
import type { Model } from './model.js';
import type { Report } from './violation.js';

/** One fault of the run, on its clock (ms) and by the wall. */
export interface FaultSpan {
  readonly name: string;
  readonly loses: 'none' | 'one-node' | 'cluster';
  /** It moves clocks: what is told by comparing clocks is not checked around it. */
  readonly clocks: boolean;
  readonly from: number;
  /** Everything answered again. */
  to: number;
  readonly fromWall: number;
  toWall: number;
}

export interface CheckInput {
  readonly calls: readonly Call[];
  readonly final: FinalState;
  readonly faults: readonly FaultSpan[];
  readonly partitions: number;
  /** When server processes ended, on the run's clock: what they had not said yet, they never will. */
  readonly serverEnds: readonly { readonly name: string; readonly at: number }[];
  /** ms for which a server may call an item sold out that has units again. */
  readonly soldOutMs: number;
}

export interface Checking extends CheckInput {
  readonly model: Model;
  readonly effects: Effects;
  readonly losses: readonly Loss[];
  readonly report: Report;
}

/** Clocks of processes on one machine, read one after the other: so many ms may lie between. */
export const CLOCK_MS = 20;

/** Whether a clock was off at any time from `fromWall` to `toWall`, or had been set off before and not back. */
export const clocksMovedDuring = ({ faults }: CheckInput, fromWall: number, toWall: number): boolean =>
  faults.some((fault) => fault.clocks && fault.toWall >= fromWall && fault.fromWall <= toWall);

export const clocksMoved = ({ faults }: CheckInput): boolean => faults.some(({ clocks }) => clocks);

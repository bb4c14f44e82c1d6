/** What a benchmark is, and what it says when it is over. */
import type { Bed } from './bed.js';

export interface Metric {
  /** Stable name within the benchmark, e.g. `executed`. */
  readonly key: string;
  readonly label: string;
  /** e.g. `/s`, `ms`, `µs`, `bytes`, `×`. */
  readonly unit: string;
  /** Median of the rounds. */
  readonly value: number;
  readonly rounds: readonly number[];
}

export interface Goal {
  readonly text: string;
  readonly value: number;
  readonly compare: '>=' | '<=';
  readonly target: number;
  readonly unit: string;
  readonly met: boolean;
}

/** CPU that one part of the system spent, in microseconds an operation. */
export interface Cost {
  readonly what: string;
  readonly parts: Readonly<Record<string, number>>;
  /** Share of the machine that everything on it used while this was measured, 0 … 1. */
  readonly busy: number;
}

export interface Report {
  readonly name: string;
  readonly title: string;
  /** One paragraph: what was done, with which numbers. */
  readonly what: string;
  readonly metrics: Metric[];
  readonly goals: Goal[];
  readonly costs: Cost[];
  /** Why the numbers do not count: oversell, loss, errors. Empty for a run that counts. */
  readonly voids: string[];
  /** What could not be measured here, and why. */
  readonly skipped: string[];
  readonly notes: string[];
  seconds: number;
}

export interface Settings {
  readonly rounds: number;
  /** Seconds that one measurement lasts, after its warm-up. */
  readonly seconds: number;
  readonly warmupSeconds: number;
  /** Smaller sizes and shorter runs: to see that everything works, not to be published. */
  readonly quick: boolean;
}

export interface Run {
  readonly settings: Settings;
  readonly bed: Bed;
  readonly report: Report;
  /** Progress, one line. */
  readonly say: (line: string) => void;
}

export interface Benchmark {
  readonly name: string;
  readonly title: string;
  readonly run: (run: Run) => Promise<void>;
}

export function emptyReport(name: string, title: string): Report {
  return {
    name,
    title,
    what: '',
    metrics: [],
    goals: [],
    costs: [],
    voids: [],
    skipped: [],
    notes: [],
    seconds: 0,
  };
}

import { build, type Histogram } from 'hdr-histogram-js';

/** What is asked of the server, as latencies are told apart. */
export const KINDS = ['look', 'reserve', 'confirm', 'release', 'extend', 'return'] as const;
export type Kind = (typeof KINDS)[number];

/** An answer takes at most this long to be counted as such; what takes longer is counted as this. */
const LONGEST_US = 60_000_000;

const histogram = (): Histogram =>
  build({ lowestDiscernibleValue: 1, highestTrackableValue: LONGEST_US, numberOfSignificantValueDigits: 3 });

export interface Percentiles {
  count: number;
  /** Milliseconds. */
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

const ms = (us: number): number => us / 1_000;

export function percentilesOf(from: Histogram): Percentiles {
  const max = from.totalCount === 0 ? 0 : ms(from.maxValue);
  // Values are kept to three digits; a percentile is rounded up within them and must not pass the maximum.
  const at = (percentile: number): number => Math.min(max, ms(from.getValueAtPercentile(percentile)));
  return { count: from.totalCount, p50: at(50), p95: at(95), p99: at(99), max };
}

/** Counts by name. */
export class Tally {
  private readonly counts = new Map<string, number>();

  add(name: string, by = 1): void {
    this.counts.set(name, this.of(name) + by);
  }

  of(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  get total(): number {
    let sum = 0;
    for (const count of this.counts.values()) sum += count;
    return sum;
  }

  /** Most first. */
  entries(): [string, number][] {
    return [...this.counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  }
}

/** Everything that is measured about the traffic. Times are taken from writing the request to the last byte of its answer. */
export class Figures {
  readonly byKind: Record<Kind, Histogram>;
  /** Since the last `window()`. */
  private recent = histogram();
  /** From pressing "buy" to knowing: the wait for a free connection and repetitions included. */
  readonly untilKnown = histogram();
  /** Requests that were answered, whatever the answer. */
  requests = 0;
  /** Requests that were made again, by what had been answered. */
  readonly repeated = new Tally();
  /** Answers that no buyer should get, by what they were. The demo fails over the first. */
  readonly errors = new Tally();
  private started = 0;
  private ended = 0;

  constructor() {
    this.byKind = Object.fromEntries(KINDS.map((kind) => [kind, histogram()])) as Record<Kind, Histogram>;
  }

  start(): void {
    this.started = performance.now();
  }

  end(): void {
    this.ended = performance.now();
  }

  /** Since the start, at most until the end. */
  get seconds(): number {
    if (this.started === 0) return 0;
    return ((this.ended || performance.now()) - this.started) / 1_000;
  }

  answered(kind: Kind, startedAt: number): void {
    const us = microseconds(startedAt);
    this.byKind[kind].recordValue(us);
    this.recent.recordValue(us);
    this.requests++;
  }

  known(startedAt: number): void {
    this.untilKnown.recordValue(microseconds(startedAt));
  }

  /** The latencies of everything from the start. */
  overall(): Percentiles {
    const all = histogram();
    for (const kind of KINDS) all.add(this.byKind[kind]);
    return percentilesOf(all);
  }

  /** The latencies since the last call. */
  window(): Percentiles {
    const found = percentilesOf(this.recent);
    this.recent.reset();
    return found;
  }
}

function microseconds(startedAt: number): number {
  return Math.min(LONGEST_US, Math.max(1, Math.round((performance.now() - startedAt) * 1_000)));
}

/**
 * What is closed for whom. Under pressure work is given up in this order: new holds and sales, then other changes of stock. What
 * ends a reservation (confirm, release, return) makes room or is money already taken: no limit here ever closes it, only the
 * number of requests under way does (`http/admission.ts`). Nor are reads closed: they wait for none of this.
 */
import { problem, type Problem } from '../http/problems.js';
import { type Level, NO_HOLDS, NO_WRITES, OPEN } from './marks.js';

/** What a request asks of the system. */
export type Load = 'hold' | 'write' | 'finish' | 'read';

/** What closes; each has one number behind it and one setting. */
export type Limit = 'log' | 'memory' | 'persist_age' | 'event_loop';
export const LIMITS: readonly Limit[] = ['log', 'memory', 'persist_age', 'event_loop'];

/** The level from which on a load is refused; 3 is never reached. */
const CLOSED_AT: Readonly<Record<Load, number>> = { hold: NO_HOLDS, write: NO_WRITES, finish: 3, read: 3 };

/** What the refused are told, and after how many seconds it may be different. */
export const REASONS: Readonly<Record<Limit, { readonly detail: string; readonly retryAfter: number }>> = {
  log: {
    detail: 'Too many changes of this part of the store wait to be persisted; nothing was changed.',
    retryAfter: 5,
  },
  memory: { detail: 'The memory of this part of the store is nearly full; nothing was changed.', retryAfter: 5 },
  persist_age: {
    detail: 'Changes of this part of the store have waited too long to be persisted; nothing was changed.',
    retryAfter: 5,
  },
  event_loop: { detail: 'This process is too busy; nothing was changed.', retryAfter: 1 },
};

export class Gate {
  /** Requests refused, by what closed. */
  readonly refused: Record<Limit, number> = { log: 0, memory: 0, persist_age: 0, event_loop: 0 };
  /** How full each limit is at its fullest; 1: new holds are refused. */
  readonly fill: Record<Limit, number> = { log: 0, memory: 0, persist_age: 0, event_loop: 0 };
  private readonly levels: Readonly<Record<Limit, Uint8Array>>;
  /** The highest level of all limits anywhere, and the lowest of all partitions: most requests need no closer look. */
  private highest: Level = OPEN;
  private everywhere: Level = OPEN;

  constructor(
    readonly partitions: number,
    /** The partition of `location:sku`, or the home of a reservation id. */
    private readonly partitionOf: (key: string) => number,
  ) {
    const none = (): Uint8Array => new Uint8Array(partitions);
    this.levels = { log: none(), memory: none(), persist_age: none(), event_loop: none() };
  }

  /** @returns the level before */
  set(limit: Limit, partition: number, level: Level): Level {
    const levels = this.levels[limit];
    const before = levels[partition] as Level;
    if (before !== level) {
      levels[partition] = level;
      this.sum();
    }
    return before;
  }

  /** For a limit that knows no partitions. @returns the level before */
  setAll(limit: Limit, level: Level): Level {
    const before = this.levels[limit][0] as Level;
    if (before !== level) {
      this.levels[limit].fill(level);
      this.sum();
    }
    return before;
  }

  level(limit: Limit, partition: number): Level {
    return this.levels[limit][partition] as Level;
  }

  /** Partitions that this limit closes at this level or a higher one. */
  closed(limit: Limit, level: Level): number {
    let count = 0;
    for (const found of this.levels[limit]) if (found >= level) count += 1;
    return count;
  }

  /** What closes this load whatever it is about, if anything does: such a request need not be read. */
  shut(load: Load): Limit | undefined {
    if (this.everywhere < CLOSED_AT[load]) return undefined;
    return this.closer(load, 0);
  }

  /**
   * Lets a request for these items (`location:sku`) or reservations (ids) pass.
   * @throws Problem 503 `overloaded`, counted, where one of their partitions is closed for it
   */
  admit(load: Load, keys: Iterable<string>): void {
    if (this.highest < CLOSED_AT[load]) return;
    for (const key of keys) {
      const limit = this.closer(load, this.partitionOf(key));
      if (limit !== undefined) throw this.refuse(limit);
    }
  }

  /** Counts a refusal. */
  refuse(limit: Limit): Problem {
    this.refused[limit] += 1;
    const { detail, retryAfter } = REASONS[limit];
    return problem('overloaded', detail, { retryAfter });
  }

  private closer(load: Load, partition: number): Limit | undefined {
    const from = CLOSED_AT[load];
    return LIMITS.find((limit) => this.levels[limit][partition]! >= from);
  }

  private sum(): void {
    let highest = 0;
    let everywhere = NO_WRITES as number;
    for (let partition = 0; partition < this.partitions; partition += 1) {
      let worst = 0;
      for (const limit of LIMITS) worst = Math.max(worst, this.levels[limit][partition]!);
      highest = Math.max(highest, worst);
      everywhere = Math.min(everywhere, worst);
    }
    this.highest = highest as Level;
    this.everywhere = everywhere as Level;
  }
}

/** The refs of lines, for `admit`. */
export function* refsOf(lines: Iterable<{ readonly location: string; readonly sku: string }>): Iterable<string> {
  for (const { location, sku } of lines) yield `${location}:${sku}`;
}

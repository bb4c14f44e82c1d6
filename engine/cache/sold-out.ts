/**
 * Items of which nothing is left, as far as this process can vouch for it: asking Redis once more would only cost. (S6, S9)
 *
 * Redis has to have refused first, and the item must not have changed since: a change of its settings counts as one, so the
 * answer would be the same. Holds that are overdue come back when somebody asks for them, so one request is let through every
 * few ms; it finds them.
 */
import type { NearCache } from './near-cache.js';

/** So often an item that is sold out is asked for all the same. */
const ASK_EVERY_MS = 20;
/** Items kept in mind; the map is emptied when there are more. */
const MOST = 100_000;

interface Refused {
  readonly version: number;
  askedAt: number;
}

export class SoldOut {
  /** Requests that were refused without asking. */
  refused = 0;
  private readonly items = new Map<string, Refused>();

  /** @param withinMs how old the knowledge may be; 0: Redis is always asked */
  constructor(
    private readonly cache: NearCache,
    private readonly withinMs: number,
  ) {}

  /** Nothing is known to be sold out. */
  get isEmpty(): boolean {
    return this.items.size === 0;
  }

  /** The first of the items that is known to be sold out; undefined: ask. */
  find(refs: Iterable<string>): string | undefined {
    if (this.items.size === 0 || this.withinMs === 0) return undefined;
    const now = performance.now();
    for (const ref of refs) {
      const known = this.items.get(ref);
      if (!known) continue;
      const entry = this.cache.soldOut(ref, this.withinMs, now);
      if (entry?.version !== known.version) {
        this.items.delete(ref);
      } else if (now - known.askedAt >= ASK_EVERY_MS) {
        known.askedAt = now;
        return undefined;
      } else {
        this.refused++;
        return ref;
      }
    }
    return undefined;
  }

  /** Redis has just refused the item because nothing is left of it. */
  learn(ref: string): void {
    if (this.withinMs === 0) return;
    const now = performance.now();
    const entry = this.cache.soldOut(ref, this.withinMs, now);
    // Not in memory, or the news is still on its way: the next refusal teaches it.
    if (!entry) return void this.cache.get(ref).catch(() => undefined);
    if (this.items.size >= MOST) this.items.clear();
    this.items.set(ref, { version: entry.version, askedAt: now });
  }
}

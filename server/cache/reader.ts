/**
 * Where stock reads come from: the near cache, and Redis for what it does not vouch for. Routes know only this.
 */
import type { Entry } from '../../engine/cache/entry.js';
import type { NearCache } from '../../engine/cache/near-cache.js';
import type { ItemRef, StockLevel } from '../../engine/types.js';

export interface StockRead {
  readonly level: StockLevel;
  /** How old the counts may be, in ms. (S10) */
  readonly staleMs: number;
}

export interface StockReader {
  /** In the order asked, undefined for unknown items; at once where everything asked for is at hand. (S2) */
  read(items: readonly ItemRef[], fresh: boolean): (StockRead | undefined)[] | Promise<(StockRead | undefined)[]>;
}

export class CachedReader implements StockReader {
  constructor(private readonly cache: NearCache) {}

  read(items: readonly ItemRef[], fresh: boolean): (StockRead | undefined)[] | Promise<(StockRead | undefined)[]> {
    const { cache } = this;
    const now = performance.now();
    const found = new Array<StockRead | undefined>(items.length);
    let missing: Promise<void>[] | undefined;
    for (const [index, { location, sku }] of items.entries()) {
      const ref = `${location}:${sku}`;
      const entry = fresh ? undefined : cache.hit(ref, now);
      if (entry) found[index] = readOf(entry, cache.ageOf(entry, now));
      else
        (missing ??= []).push(
          cache.read(ref, fresh).then(({ entry, staleMs }) => void (found[index] = readOf(entry, staleMs))),
        );
    }
    return missing ? Promise.all(missing).then(() => found) : found;
  }
}

function readOf(entry: Entry, staleMs: number): StockRead | undefined {
  if (!entry.exists) return undefined;
  const { location, sku, available, reserved, sold, version, updatedAt } = entry;
  return { level: { location, sku, available, reserved, sold, version, updatedAt }, staleMs };
}

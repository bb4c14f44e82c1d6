/** What the near cache tells of itself. (S10) */
import { COUNTED_AGES, type NearCache } from '../../engine/cache/near-cache.js';
import type { SoldOut } from '../../engine/cache/sold-out.js';
import type { Metrics } from '../metrics.js';

/** Upper bounds in ms. */
const BOUNDS_MS = [1, 5, 10, 25, 50, 100, 250, 500, 1_000];

export function exposeCache(metrics: Metrics, cache: NearCache, soldOut: SoldOut): void {
  const { counts, deltas } = cache;
  metrics.gauge('holdfast_cache_items', 'Items in memory.', () => cache.size);
  metrics.counter('holdfast_cache_hits_total', 'Items answered from memory.', () => counts.hits);
  metrics.counter('holdfast_cache_misses_total', 'Items that had to be read or waited for.', () => counts.misses);
  metrics.counter(
    'holdfast_cache_fresh_total',
    'Items asked of the store because the client wanted it.',
    () => counts.fresh,
  );
  metrics.counter('holdfast_cache_reads_total', 'Items read from the store.', () => counts.reads);
  metrics.counter('holdfast_cache_read_failures_total', 'Reads that failed.', () => counts.failures);
  metrics.counter('holdfast_cache_evicted_total', 'Items that left memory.', () => cache.evicted);
  metrics.counter(
    'holdfast_sold_out_refusals_total',
    'Reservations refused because an item was known to be sold out.',
    () => soldOut.refused,
  );
  metrics.counter('holdfast_deltas_total', 'Messages of changes.', () => deltas.counts.messages);
  metrics.counter('holdfast_delta_gaps_total', 'Times that messages were missed.', () => deltas.counts.gaps);
  metrics.counter('holdfast_delta_malformed_total', 'Messages nobody understood.', () => deltas.counts.malformed);
  metrics.counter('holdfast_delta_resubscribes_total', 'Subscriptions begun anew.', () => deltas.resubscribed);
  metrics.buckets('holdfast_cache_staleness_seconds', 'How old answers from memory may have been.', () =>
    staleness(cache.ages),
  );
}

function staleness(ages: Float64Array): { bounds: { le: number; count: number }[]; count: number; sum: number } {
  const bounds = BOUNDS_MS.map((ms) => ({ le: ms / 1_000, count: 0 }));
  let count = 0;
  let sum = 0;
  for (let ms = 0; ms < COUNTED_AGES; ms++) {
    const found = ages[ms] ?? 0;
    if (found === 0) continue;
    count += found;
    // An age between two whole ms is counted at the lower one; here the upper one tells the truth.
    sum += (found * (ms + 1)) / 1_000;
    for (const bound of bounds) if (ms + 1 <= bound.le * 1_000) bound.count += found;
  }
  return { bounds, count, sum };
}

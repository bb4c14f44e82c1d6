import type { PartitionsApi } from '../../engine/types.js';
import type { WorkerMetrics } from '../metrics.js';

/** Sweeps in one job at most; what is left is found by the next look. */
const ROUNDS = 200;

/** Puts expired holds of a partition back on sale and forgets old records, until nothing is due. (S9) */
export async function sweepPartition(
  partitions: PartitionsApi,
  metrics: WorkerMetrics,
  partition: number,
  signal?: AbortSignal,
): Promise<number> {
  let changed = 0;
  for (let round = 0; round < ROUNDS && !signal?.aborted; round++) {
    const count = await partitions.sweep(partition);
    metrics.expired.inc(count);
    changed += count;
    if (count === 0) break;
  }
  return changed;
}

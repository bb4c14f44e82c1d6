/** Under which epoch a partition is opened. */
import { randomInt } from 'node:crypto';

/** A clock beyond that is wrong. Keeps epochs below 2^53, with room for 10^9 openings above it. */
const LATEST_MS = Date.UTC(2200, 0);
const MICROSECONDS = 1_000;
/** Where the clock is of no use: that two openings after the same epoch draw the same number is one in a million. */
const STEP = 2 ** 20;

/**
 * An epoch above `last` that no other opening has, also none that `last` knows nothing of: of two masters that follow the same epoch
 * (one cut off, or dead before its replica heard of its opening) each may be opened, and what was answered under the one must not
 * be taken for what the other has. So it is the time in microseconds, the last three digits drawn. Openings that lie further apart
 * than clocks differ are also in their order, which a failover's always are: it takes the cluster's node timeout.
 * @param last the highest epoch that is known of the partition, 0 for none
 */
export function epochAfter(last: number, nowMs = Date.now()): number {
  const byClock = Math.min(nowMs, LATEST_MS) * MICROSECONDS + randomInt(MICROSECONDS);
  return byClock > last ? byClock : last + 1 + randomInt(STEP);
}

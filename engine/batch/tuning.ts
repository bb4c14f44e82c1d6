/** Every bound of the batcher in one place. */
import { limits } from '../scripts/generated/limits.js';

export interface Tuning {
  /** Connections a master for writes; each has at most one pipeline in flight. */
  readonly writeLanes: number;
  /** Connections a master for reads, so that they do not queue behind a WAIT. */
  readonly readLanes: number;
  readonly opsPerCall: number;
  readonly itemsPerCall: number;
  /** Times a call names an item, repeats included. */
  readonly mentionsPerCall: number;
  readonly opsPerPipeline: number;
  /** Operations that may wait for a node; more are refused at once. Reads and what ends a reservation may be twice as many. */
  readonly queuedPerNode: number;
  /** `replicated` means that all nodes of the shard have it on disk. */
  readonly onDisk: boolean;
  /** Pipelines of writes to a node leave at least so far apart; 0: whenever a lane is free. */
  readonly gapMs: number;
  /** Longest WAIT. It holds its lane, so it is shorter than patient callers' deadlines. */
  readonly waitMs: number;
  /** Deadline of a call of one partition to another that waits for the replicas: long enough when all is well (Context). */
  readonly safeMs: number;
  /** WAIT after one that did not reach all replicas, until one does again. */
  readonly shortWaitMs: number;
  /** A pipeline without an answer for so long ends the node's connections: what can be repeated is sent again. Longer than waitMs. */
  readonly stallMs: number;
  /** How exactly deadlines are kept. */
  readonly tickMs: number;
  readonly connectTimeoutMs: number;
}

export const DEFAULT_TUNING: Tuning = {
  writeLanes: 4,
  readLanes: 2,
  opsPerCall: limits.max_ops,
  itemsPerCall: limits.max_items,
  mentionsPerCall: 512,
  opsPerPipeline: 1024,
  queuedPerNode: 16_384,
  onDisk: false,
  gapMs: 0,
  waitMs: 1_000,
  safeMs: 1_000,
  shortWaitMs: 25,
  stallMs: 2_000,
  tickMs: 10,
  connectTimeoutMs: 1_000,
};

/**
 * Where `replicated` means on disk, an answer takes until the next fsync and until a replica tells of it, each once a second: 0.7 to
 * 1.1 s seen, 2 s at worst. A lane is held as long. There are enough of them, and pipelines leave far enough apart, that one is
 * always free: otherwise a burst would take all within a millisecond, and what comes then would not even be executed for a second.
 */
export function tunedForDisk(tuning: Tuning): Tuning {
  return { ...tuning, onDisk: true, writeLanes: 64, gapMs: 20, waitMs: 2_500, safeMs: 3_000 };
}

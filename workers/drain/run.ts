import type { LogEvent, PartitionStatus } from '../../engine/types.js';
import type { Position } from './check.js';

/** Why a drain ended. `fenced`: what was read is not the log that recovery goes on with, or recovery has not come by yet. */
export type DrainEnd = 'empty' | 'busy' | 'halted' | 'fenced' | 'time';

export interface RunOptions {
  readonly batchEvents: number;
  readonly jobMs: number;
  readonly signal: AbortSignal | undefined;
}

/** How long a partition without events is still looked at: the next one may come any moment, and a job costs more than a look. */
const IDLE_MS = 500;
/** Limits of events a batch when one is refused: at 1 only whole entries of one script call are left to blame. */
const SMALLER = [64, 1];

/** A job's stay with its partition. */
export class Run {
  readonly ended: Promise<DrainEnd>;
  /** Undefined: to be read again. */
  position: Position | undefined;
  /** Most events a batch, whole entries apart. */
  limit: number;
  /** Read, not persisted yet. */
  events: readonly LogEvent[] | undefined;
  /** Events that were asked for when it was read. */
  asked = 0;
  /** Its log is being read or looked into: the lane leaves it alone. */
  busy = false;
  /** Something in its log was refused: its batches are transactions of their own until the culprit is found. */
  suspect = false;
  /** How the partition looked when its last batch was refused. */
  seen: PartitionStatus | undefined;
  /** Redis is being told how far the partition is persisted. */
  marking: Promise<void> | undefined;
  /** When it was told last, and up to which event. */
  markedAt = 0;
  marked = -1;
  /** It has persisted something, or seen to it that there is nothing. */
  settled = false;
  over = false;
  private lost = false;
  private lastEvents = Date.now();
  private readonly until: number;
  private resolve!: (end: DrainEnd) => void;
  private reject!: (error: unknown) => void;

  constructor(
    readonly partition: number,
    private readonly options: RunOptions,
  ) {
    this.limit = options.batchEvents;
    this.until = Date.now() + options.jobMs;
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  end(why: DrainEnd): void {
    this.over = true;
    this.resolve(why);
  }

  fail(error: unknown): void {
    this.over = true;
    this.reject(error);
  }

  persisted(next: Position): void {
    this.position = next;
    this.events = undefined;
    this.settled = true;
    this.lost = false;
    this.lastEvents = Date.now();
  }

  /** Somebody else drains the partition or recovery has moved it on: looked at once more, then left to them. */
  contended(): void {
    this.position = undefined;
    this.events = undefined;
    if (this.lost) this.end('busy');
    this.lost = true;
  }

  /** A batch was refused: smaller ones tell what can still be persisted. False: it cannot be smaller. */
  shrink(): boolean {
    const smaller = SMALLER.find((limit) => limit < this.limit);
    if (smaller === undefined) return false;
    this.limit = smaller;
    return true;
  }

  /** Redis does not know yet what is persisted. */
  get unmarked(): boolean {
    return this.settled && this.position !== undefined && this.position.seq > this.marked;
  }

  /** Why the run is to end, if it is: its log has stayed empty, its time is over, or it is asked to stop. */
  get ending(): DrainEnd | undefined {
    if (this.over || this.events) return undefined;
    if (this.options.signal?.aborted || Date.now() >= this.until) return 'time';
    return this.settled && Date.now() - this.lastEvents >= IDLE_MS ? 'empty' : undefined;
  }
}

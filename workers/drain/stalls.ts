import { DRAIN_STALL_MS } from '../db/drain-lock.js';

/** Between two looks for those who are in the way, as a share of the time after which they are looked for. */
const LOOKS = 3;

/**
 * Partitions whose drain lock somebody else has, again and again and without persisting anything. Recovery ends such a session when it
 * comes by; where nothing is closed it does not, and a worker that froze keeps the partition.
 */
export class Stalls {
  private readonly since = new Map<number, { readonly seq: number; readonly at: number }>();
  private next = 0;

  /** @param stallMs how long that is no stall yet */
  constructor(
    readonly stallMs = DRAIN_STALL_MS,
    private readonly now: () => number = Date.now,
  ) {}

  /** Somebody has the lock. @param seq up to where the partition was persisted then */
  refused(partition: number, seq: number): void {
    if (this.since.get(partition)?.seq !== seq) this.since.set(partition, { seq, at: this.now() });
  }

  persisted(partition: number): void {
    this.since.delete(partition);
  }

  /** Partitions that have stood still for too long; empty while it is not time for another look. */
  due(): number[] {
    const now = this.now();
    if (this.since.size === 0 || now < this.next) return [];
    const due = [...this.since].filter(([, { at }]) => now - at >= this.stallMs).map(([partition]) => partition);
    if (due.length > 0) this.next = now + this.stallMs / LOOKS;
    return due;
  }
}

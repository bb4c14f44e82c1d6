/** One pipeline in flight: the EVALSHAs of several batches, and one WAIT (or WAITAOF) when an answer asks for it. */
import type { AskedWait } from '../redis/acks.js';
import type { Reply, ReplySink } from '../redis/connection.js';
import type { Lane, Link } from '../redis/link.js';
import type { Batch } from './batch.js';

export interface FlightEvents {
  replied(flight: Flight, batch: Batch, reply: Reply): void;
  failed(flight: Flight, batch: Batch, error: Error): void;
  lost(flight: Flight, batch: Batch): void;
  /** The WAIT is answered, or will never be. */
  waited(flight: Flight, wait: AskedWait, reply: Reply | Error): void;
  /** All replies are in, or the connection is gone. */
  landed(flight: Flight): void;
}

export class Flight implements ReplySink {
  /** In the bag of those under way. */
  slot = -1;
  /** Batches that ran in this flight: what its WAIT vouches for. One that was turned away may run in another, before this one has landed. */
  readonly ran: Batch[] = [];
  private missing: number;

  constructor(
    readonly link: Link,
    readonly lane: Lane,
    readonly batches: readonly Batch[],
    private readonly wait: AskedWait | undefined,
    private readonly sentAt: number,
    private readonly events: FlightEvents,
  ) {
    this.missing = this.commands;
  }

  get commands(): number {
    return this.batches.length + (this.withWait ? 1 : 0);
  }

  get withWait(): boolean {
    return this.wait !== undefined;
  }

  /**
   * No answer for `stallMs`, by performance.now(): the node hangs, or the way to it is cut. Where only the disk is still waited for,
   * the node did answer: it has its time.
   */
  stalled(now: number, stallMs: number): boolean {
    const disk = this.missing === 1 && this.wait?.onDisk ? this.wait.timeoutMs : 0;
    return this.sentAt + stallMs + disk < now;
  }

  reply(index: number, value: Reply): void {
    const batch = this.batches[index];
    if (batch) this.events.replied(this, batch, value);
    else this.events.waited(this, this.wait!, value);
    this.arrived();
  }

  failed(index: number, error: Error): void {
    const batch = this.batches[index];
    if (batch) this.events.failed(this, batch, error);
    else this.events.waited(this, this.wait!, error);
    this.arrived();
  }

  lost(index: number, error: Error): void {
    const batch = this.batches[index];
    if (batch) this.events.lost(this, batch);
    else this.events.waited(this, this.wait!, error);
    this.arrived();
  }

  private arrived(): void {
    if (--this.missing === 0) this.events.landed(this);
  }
}

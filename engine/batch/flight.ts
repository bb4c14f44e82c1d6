/** One pipeline in flight: the EVALSHAs of several batches, and one WAIT when an answer asks for it. */
import type { Reply, ReplySink } from '../redis/connection.js';
import type { Lane, Link } from '../redis/link.js';
import type { Batch } from './batch.js';

export interface FlightEvents {
  replied(flight: Flight, batch: Batch, reply: Reply): void;
  failed(flight: Flight, batch: Batch, error: Error): void;
  lost(flight: Flight, batch: Batch): void;
  /** The WAIT is answered: so many replicas have everything; -1 when it could not be told. */
  waited(flight: Flight, replicas: number): void;
  /** All replies are in, or the connection is gone. */
  landed(flight: Flight): void;
}

export class Flight implements ReplySink {
  /** In the bag of those under way. */
  slot = -1;
  private missing: number;

  constructor(
    readonly link: Link,
    readonly lane: Lane,
    readonly batches: readonly Batch[],
    /** Replicas that must have it for `replicated`, as the topology was when it was sent; 0: without a WAIT. */
    readonly replicas: number,
    readonly sentAt: number,
    private readonly events: FlightEvents,
  ) {
    this.missing = this.commands;
  }

  get commands(): number {
    return this.batches.length + (this.withWait ? 1 : 0);
  }

  get withWait(): boolean {
    return this.replicas > 0;
  }

  reply(index: number, value: Reply): void {
    const batch = this.batches[index];
    if (batch) this.events.replied(this, batch, value);
    else this.events.waited(this, typeof value === 'number' ? value : -1);
    this.arrived();
  }

  failed(index: number, error: Error): void {
    const batch = this.batches[index];
    if (batch) this.events.failed(this, batch, error);
    else this.events.waited(this, -1);
    this.arrived();
  }

  lost(index: number): void {
    const batch = this.batches[index];
    if (batch) this.events.lost(this, batch);
    else this.events.waited(this, -1);
    this.arrived();
  }

  private arrived(): void {
    if (--this.missing === 0) this.events.landed(this);
  }
}

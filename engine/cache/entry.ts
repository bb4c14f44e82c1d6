/** What is kept of an item. */
import type { Feed } from '../deltas/feed.js';

/** A read of the item that is on its way; whoever wants to know joins it. */
export interface ReadFlight {
  /** Of its feed, when it left. What was missed since is not in its answer. */
  readonly generation: number;
  readonly askedAt: number;
  readonly done: Promise<Entry>;
}

export class Entry {
  available = 0;
  reserved = 0;
  sold = 0;
  /** -1: nothing is known; 0: there is no such item. */
  version = -1;
  updatedAt = 0;
  /** The feed's generation under which the counts are known to be followed. */
  generation = -1;
  flight: ReadFlight | undefined;
  /** When it was last asked for, in turns of the shelf's clock. */
  seen = 0;
  /** Somebody is told of its changes: it stays. */
  followed = false;
  /** Where it stands on the shelf; -1: on none. */
  place = -1;
  /** What others have made of the counts, until they change. */
  json: string | undefined;
  bytes: string | undefined;

  constructor(
    /** `location:sku` */
    readonly ref: string,
    readonly feed: Feed,
  ) {}

  /** Whether there is such an item. */
  get exists(): boolean {
    return this.version > 0;
  }

  get location(): string {
    return this.ref.slice(0, this.ref.indexOf(':'));
  }

  get sku(): string {
    return this.ref.slice(this.ref.indexOf(':') + 1);
  }

  set(available: number, reserved: number, sold: number, version: number, updatedAt: number): void {
    this.available = available;
    this.reserved = reserved;
    this.sold = sold;
    this.version = version;
    this.updatedAt = updatedAt;
    this.json = undefined;
    this.bytes = undefined;
  }
}

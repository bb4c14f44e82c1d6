/** What the replica knows of one item. The object stays the same; its counts are the newest. */
import type { StockLevel } from './types.js';

export class ReplicaItem implements StockLevel {
  available = 0;
  reserved = 0;
  sold = 0;
  version = 0;
  updatedAt = 0;
  /** Counts have come. */
  known = false;
  /** There is such an item. */
  exists = false;
  /** @internal The connection, by number, that told of it last. */
  generation = -1;
  /** @internal How many subscriptions want it. */
  wanted = 0;

  constructor(
    readonly location: string,
    readonly sku: string,
    readonly ref: string,
    readonly partition: number,
  ) {}
}

/** What the stream needs to know of stock that changes: the near cache, seen from here. */
import type { ItemRef, StockLevel } from '../../engine/types.js';

/** Told of the newest counts of one item; undefined where there is no such item. */
export type Told = (level: StockLevel | undefined) => void;

export interface Followed {
  /** Ends it; `told` is not called again. */
  stop(): void;
}

export interface ItemFeed {
  /**
   * Keeps an item known. `told` is called with its counts as soon as they are known, and again whenever they change; only the
   * newest counts are told, in the order in which they became so.
   */
  follow(item: ItemRef, told: Told): Followed;
  /** By performance.now(): all changes of the partition's followed items until then have been told; -Infinity if that is unknown. */
  vouchedAt(partition: number): number;
}

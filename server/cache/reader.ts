/**
 * Where stock reads come from. Routes know only this, so that what stands between them and Redis is decided in one place.
 */
import type { ItemRef, StockApi, StockLevel } from '../../engine/types.js';

export interface StockRead {
  readonly level: StockLevel;
  /** How old the counts may be, in ms. (S10) */
  readonly staleMs: number;
}

export interface StockReader {
  /** In the order asked, undefined for unknown items; at once where everything asked for is at hand. (S2) */
  read(items: readonly ItemRef[], fresh: boolean): (StockRead | undefined)[] | Promise<(StockRead | undefined)[]>;
}

/** Every read asks the store: never stale. */
export class DirectReader implements StockReader {
  constructor(private readonly stock: StockApi) {}

  async read(items: readonly ItemRef[]): Promise<(StockRead | undefined)[]> {
    const levels = await this.stock.check(items);
    return levels.map((level) => (level === undefined ? undefined : { level, staleMs: 0 }));
  }
}

/** What handlers work with. */
import type { NearCache } from '../../engine/cache/near-cache.js';
import type { SoldOut } from '../../engine/cache/sold-out.js';
import type { Engine } from '../../engine/types.js';
import type { StockReader } from '../cache/reader.js';
import type { Gate } from '../limits/gate.js';
import type { Database } from '../sql/database.js';

export interface Services {
  readonly engine: Engine;
  readonly reader: StockReader;
  /** What reader keeps; for answers that are put together from it. */
  readonly cache: NearCache;
  readonly soldOut: SoldOut;
  /** What is closed under pressure; asked before a change is begun. */
  readonly gate: Gate;
  /** Absent where no database is configured. */
  readonly database: Database | undefined;
}

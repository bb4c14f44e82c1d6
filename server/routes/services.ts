/** What handlers work with. */
import type { Engine } from '../../engine/types.js';
import type { StockReader } from '../cache/reader.js';
import type { Database } from '../sql/database.js';

export interface Services {
  readonly engine: Engine;
  readonly reader: StockReader;
  /** Absent where no database is configured. */
  readonly database: Database | undefined;
}

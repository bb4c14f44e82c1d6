/** Every item as of the last persisted position, in order of `location:sku`. (S12) */
import type { StockLevel } from '../../engine/types.js';
import type { Query } from './database.js';

export interface ExportedItem extends StockLevel {
  readonly attributes: Readonly<Record<string, string>>;
}

interface Raw {
  location: string;
  sku: string;
  available: string;
  reserved: string;
  sold: string;
  version: string;
  updated_at: string;
  attributes: Record<string, string>;
}

const PAGE = `
SELECT location, sku, available, reserved, sold, version, updated_at, attributes
FROM stock
WHERE ref > $1
ORDER BY ref
LIMIT $2`;

export async function readExport(query: Query, after: string | undefined, limit: number): Promise<ExportedItem[]> {
  const rows = await query<Raw>(PAGE, [after ?? '', limit]);
  return rows.map((row) => ({
    location: row.location,
    sku: row.sku,
    available: Number(row.available),
    reserved: Number(row.reserved),
    sold: Number(row.sold),
    version: Number(row.version),
    updatedAt: Number(row.updated_at),
    attributes: row.attributes,
  }));
}

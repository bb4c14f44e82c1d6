/** Stock items → the `current` layout of Shopify's inventory CSV (S12). */
import { stringify } from 'csv-stringify/sync';
import { ATTRIBUTE_COLUMNS, EXPORT_COLUMNS } from './layout.js';
import { nameOfId } from './names.js';

/** An item as `GET /v1/stock/export` gives it. */
export interface ExportedItem {
  location: string;
  sku: string;
  available: number;
  reserved: number;
  attributes?: Record<string, string> | null;
}

export interface WriteOptions {
  /** Byte order mark and CRLF, so that Excel opens the accents as they are. */
  excel?: boolean;
  /** Undo `--encode-skus` of an import. */
  decodeSkus?: boolean;
}

const BOM = '\uFEFF';
/** Rows turned into text by one call: as many as are in memory at once. */
const WRITE_BATCH = 256;

/**
 * The file's text in pieces, the header first. `On hand (new)` is left empty: it is where a person writes the count that
 * is wanted, and a file in which nobody wrote anything changes nothing when it is imported again.
 */
export async function* catalogueText(
  items: AsyncIterable<ExportedItem>,
  options: WriteOptions = {},
): AsyncGenerator<string> {
  yield (options.excel ? BOM : '') + csvText([[...EXPORT_COLUMNS]], options.excel);
  let batch: string[][] = [];
  for await (const item of items) {
    batch.push(cellsOf(item, options));
    if (batch.length < WRITE_BATCH) continue;
    yield csvText(batch, options.excel);
    batch = [];
  }
  if (batch.length > 0) yield csvText(batch, options.excel);
}

/** Rows as CSV text, each ended by a line break. */
export function csvText(rows: string[][], excel = false): string {
  // By itself the library quotes only its own line break: a lone CR or LF in a title would become a row.
  return stringify(rows, { record_delimiter: excel ? '\r\n' : '\n', quoted_match: /[\r\n]/ });
}

function cellsOf(item: ExportedItem, options: WriteOptions): string[] {
  const cells: Record<string, string> = {};
  for (const name of ATTRIBUTE_COLUMNS) cells[name] = item.attributes?.[name] ?? '';
  cells['SKU'] = options.decodeSkus ? nameOfId(item.sku) : item.sku;
  cells['Location'] = nameOfId(item.location);
  cells['Committed (not editable)'] = String(item.reserved);
  cells['Available (not editable)'] = String(item.available);
  cells['On hand (current)'] = String(item.available + item.reserved);
  return EXPORT_COLUMNS.map((name) => cells[name] ?? '');
}

/**
 * The layouts of Shopify's inventory CSV, told apart by their header row (S12).
 *
 * | layout         | columns that decide                                              | since |
 * |----------------|------------------------------------------------------------------|-------|
 * | `current`      | SKU, Location, `On hand (current)` and / or `On hand (new)`      | today |
 * | `on-hand`      | SKU, Location, `On hand`                                         | older |
 * | `by-location`  | Handle, SKU and one column a location, named after it            | oldest |
 */
import { CatalogueError, LIMITS } from './reasons.js';

/** Columns that describe an item; kept as attributes so that an export gives them back. */
export const ATTRIBUTE_COLUMNS = [
  'Handle',
  'Title',
  'Option1 Name',
  'Option1 Value',
  'Option2 Name',
  'Option2 Value',
  'Option3 Name',
  'Option3 Value',
  'HS Code',
  'COO',
  'Bin name',
] as const;

/** The header that an export writes: the `current` layout, column by column. */
export const EXPORT_COLUMNS = [
  ...ATTRIBUTE_COLUMNS.slice(0, 8),
  'SKU',
  'HS Code',
  'COO',
  'Location',
  'Bin name',
  'Incoming (not editable)',
  'Unavailable (not editable)',
  'Committed (not editable)',
  'Available (not editable)',
  'On hand (current)',
  'On hand (new)',
] as const;

/** Columns that the rejects file adds; a repaired rejects file can be imported as it is. */
export const REJECT_COLUMNS = ['Rejected line', 'Rejected reason', 'Rejected text'] as const;

const QUANTITY_COLUMNS = ['Incoming', 'Unavailable', 'Committed', 'Available'];
const KNOWN = new Set(
  [
    ...EXPORT_COLUMNS,
    ...QUANTITY_COLUMNS,
    ...QUANTITY_COLUMNS.map((name) => `${name} (not editable)`),
    ...REJECT_COLUMNS,
    'On hand',
    'Barcode',
  ].map(normal),
);

export interface Layout {
  name: 'current' | 'on-hand' | 'by-location';
  /** The header as the file has it. */
  header: string[];
  sku: number;
  /** Index of the Location column; -1 in the `by-location` layout. */
  location: number;
  /** `current` layout: -1 where a column is absent. */
  onHandCurrent: number;
  onHandNew: number;
  /** `on-hand` layout. */
  onHand: number;
  /** `by-location` layout: the columns that are locations. */
  locations: { index: number; name: string }[];
  attributes: { index: number; name: string }[];
  /** Columns that are neither known nor locations; named in the report, otherwise left out. */
  ignored: string[];
}

function normal(name: string): string {
  return name.trim().replace(/\s+/g, ' ').toLowerCase();
}

/**
 * Which layout a header row has.
 * @throws {CatalogueError} naming the missing columns, or what the file seems to be instead.
 */
export function detectLayout(header: string[]): Layout {
  if (header.length > LIMITS.columns) {
    throw new CatalogueError(`The header has ${header.length} columns; the limit is ${LIMITS.columns}.`);
  }
  const names = header.map(normal);
  const at = (name: string): number => names.indexOf(normal(name));
  const twice = header.find((_, i) => names[i] !== '' && names.indexOf(names[i] ?? '') !== i);
  if (twice !== undefined) throw new CatalogueError(`The header has the column "${twice.trim()}" twice.`);

  const base = {
    header,
    sku: at('SKU'),
    location: at('Location'),
    onHandCurrent: at('On hand (current)'),
    onHandNew: at('On hand (new)'),
    onHand: at('On hand'),
    locations: [] as Layout['locations'],
    attributes: ATTRIBUTE_COLUMNS.map((name) => ({ index: at(name), name })).filter((column) => column.index >= 0),
    ignored: header.filter((_, i) => names[i] !== '' && !KNOWN.has(names[i] ?? '')).map((name) => name.trim()),
  };
  const counts = base.onHandCurrent >= 0 || base.onHandNew >= 0 || base.onHand >= 0;
  if (base.sku >= 0 && base.location >= 0 && counts) {
    const current = base.onHandCurrent >= 0 || base.onHandNew >= 0;
    return { name: current ? 'current' : 'on-hand', ...base };
  }
  const product = names.some((name) => name.startsWith('variant '));
  if (base.sku >= 0 && at('Handle') >= 0 && base.location < 0 && !counts && !product && base.ignored.length > 0) {
    const locations = header
      .map((name, index) => ({ index, name: name.trim() }))
      .filter(({ name }) => base.ignored.includes(name));
    return { name: 'by-location', ...base, locations, ignored: [] };
  }
  throw new CatalogueError(explain(base, counts, product, header));
}

function explain(
  found: { sku: number; location: number },
  counts: boolean,
  product: boolean,
  header: string[],
): string {
  if (product) {
    return 'This is an export of products (it has "Variant …" columns). Export the inventory instead: Products, Inventory, Export.';
  }
  const missing: string[] = [];
  if (found.sku < 0) missing.push('SKU');
  if (found.location < 0) missing.push('Location');
  if (!counts) missing.push('On hand (or On hand (current) / On hand (new))');
  const columns = header.map((name) => name.trim()).filter((name) => name !== '');
  const shown = columns.slice(0, 25).map((name) => (name.length > 40 ? `${name.slice(0, 40)}…` : name));
  return (
    `The header is not that of an inventory CSV: missing ${missing.join(', ')}. ` +
    `Found ${columns.length === 0 ? 'no column names' : shown.join(', ')}.`
  );
}

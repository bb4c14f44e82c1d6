/**
 * Why a row of a catalogue file is not imported. The codes are stable: they are printed, written to the rejects file
 * and asserted by tests. Order is the order in which a row is checked, so a row with several faults reports the first.
 */
export const REJECT_REASONS = {
  too_long: 'the row is longer than the limit',
  encoding: 'the row is not valid UTF-8 text',
  quotes: 'the quotes of the row do not match',
  columns: 'the row has another number of columns than the header',
  sku_missing: 'the SKU is empty',
  sku_invalid: 'the SKU has characters outside A-Z a-z 0-9 . _ - ~ or is longer than 128',
  location_missing: 'the location is empty',
  location_invalid: 'the location name is too long',
  count_missing: 'the count is empty',
  count_negative: 'the count is negative',
  count_decimal: 'the count is not a whole number',
  count_not_numeric: 'the count is not a number',
  count_too_large: 'the count is larger than the limit',
  attributes_too_large: 'the descriptive columns are larger than the limit',
  duplicate: 'the same SKU and location came earlier in the file',
  changed_since_export: 'the stock changed after the file was exported',
  refused: 'the server refused the row',
} as const;

export type RejectReason = keyof typeof REJECT_REASONS;

/** The limits of an import. Everything past them is refused with a reason, never cut. */
export const LIMITS = {
  /** Bytes of one physical line. */
  lineBytes: 65_536,
  /** Physical lines of one record (line breaks inside quotes). */
  recordLines: 100,
  /** Columns of a header. */
  columns: 512,
  /** Rows that can be told apart when looking for duplicates; past it the import stops and asks for smaller files. */
  rows: 2_000_000,
  /** Highest count of one item. The engine takes more; a number past this in a count column is a barcode gone astray. */
  count: 1_000_000_000,
  /** Bytes of one row's attributes as JSON. */
  attributesBytes: 4_096,
  /** Characters of a SKU and of a location id. */
  idLength: 128,
} as const;

/** A file that cannot be read as a catalogue at all (as opposed to a row of it). */
export class CatalogueError extends Error {
  override readonly name = 'CatalogueError';
}

/** A row that is to set the count of one item at one location. */
export interface AcceptedRow {
  kind: 'accepted';
  /** Physical line in the file, from 1, on which the row begins. */
  line: number;
  location: string;
  locationName: string;
  sku: string;
  /** The number the file gives, 0 or more. */
  count: number;
  /**
   * What the number counts: `onHand` is what lies on the shelf (available + reserved), `available` leaves out
   * what is reserved (the oldest layout).
   */
  counts: 'onHand' | 'available';
  /** False where the file only reports a count and does not ask for a change: an existing item then stays as it is. */
  overwrite: boolean;
  /** The count that the item had when the file was exported; the row is refused where the item has moved on. */
  expectedOnHand?: number;
  /** Handle, Title, options and so on; only columns that are not empty. */
  attributes: Record<string, string>;
  /** The row as it was parsed, for the file of rejected rows should the server refuse it. */
  fields: string[];
}

export interface RejectedRow {
  kind: 'rejected';
  line: number;
  reason: RejectReason;
  detail: string;
  sku?: string;
  location?: string;
  /** The parsed fields where the row could be parsed, else the text of the row. */
  fields?: string[];
  text?: string;
}

/** A row that asks for nothing: `not_stocked` (the item is never kept at the location) or a `blank` line. */
export interface SkippedRow {
  kind: 'skipped';
  line: number;
  why: 'not_stocked' | 'blank';
}

export type Outcome = AcceptedRow | RejectedRow | SkippedRow;

/** A row of the file and the item as it is now → what to do. Pure, and the same for a dry run and a real one. */
import type { LiveItem } from './api.js';
import type { AcceptedRow } from './reasons.js';

export type Action =
  | { do: 'create' | 'adjust'; countedTo: number; was?: number }
  /** `same`: the count is right already. `kept`: the file only reports a count, so what is there stays. */
  | { do: 'unchanged'; why: 'same' | 'kept' }
  | { do: 'reject'; reason: 'changed_since_export' | 'refused'; detail: string };

/**
 * @param force the file is right whatever happened since it was exported: reported counts are set too, and descriptions
 *   are written even where the count is right already
 */
export function plan(row: AcceptedRow, live: LiveItem, force = false): Action {
  if (!live) return { do: 'create', countedTo: row.count };
  const onHand = live.available + live.reserved;
  const countedTo = row.counts === 'available' ? row.count + live.reserved : row.count;
  if (countedTo === onHand && !force) return { do: 'unchanged', why: 'same' };
  if (!row.overwrite && !force) return { do: 'unchanged', why: 'kept' };
  if (row.expectedOnHand !== undefined && row.expectedOnHand !== onHand && !force) {
    const detail = `on hand was ${row.expectedOnHand} at the export and is ${onHand} now; export again, or import with --force`;
    return { do: 'reject', reason: 'changed_since_export', detail };
  }
  if (countedTo < live.reserved) {
    return { do: 'reject', reason: 'refused', detail: `${countedTo} on hand is below the ${live.reserved} reserved` };
  }
  return { do: 'adjust', countedTo, was: onHand };
}

/** Rows of the tables that every order adds to, in COPY's text format. */
import type { LogEvent } from '../../engine/types.js';
import { texts } from '../db/arrays.js';
import { copyText } from '../db/copy.js';
import type { RecordRow } from './records.js';

export const MOVEMENT_COLUMNS =
  'partition, seq, epoch, at, kind, quantity, available, reserved, sold, version, deadline, fingerprint, attempt, ref, id, actor, detail';

/** The columns of MOVEMENT_COLUMNS, ended by a line break. */
function movementRow(event: LogEvent): string {
  return (
    `${event.partition}\t${event.seq}\t${event.epoch}\t${event.at}\t${event.kind}\t${event.quantity}\t${event.available}\t` +
    `${event.reserved}\t${event.sold}\t${event.version}\t${event.deadline}\t${event.fingerprint}\t${event.attempt}\t` +
    `${copyText(event.ref)}\t${copyText(event.id)}\t${copyText(event.actor)}\t${copyText(event.detail)}\n`
  );
}

/** Rows of the ledger as they are sent, and as its chain knows them. */
export function movementRows(events: readonly LogEvent[]): string {
  let rows = '';
  for (const event of events) rows += movementRow(event);
  return rows;
}

export const HOLD_COLUMNS =
  'partition, id, state, deadline, fingerprint, attempt, buyer, resolved_at, held_at, refs, quantities, returned, counted';

/** Refs as the engine makes them; others are quoted. */
const PLAIN = /^[\w.~-]+:[\w.~-]+$/;

function refList(refs: readonly string[]): string {
  return refs.every((ref) => PLAIN.test(ref)) ? `{${refs.join(',')}}` : copyText(texts(refs));
}

/** The columns of HOLD_COLUMNS, ended by a line break. */
export function holdRow(partition: number, row: RecordRow): string {
  return (
    `${partition}\t${copyText(row.id)}\t${row.state}\t${row.deadline}\t${row.fingerprint}\t${row.attempt}\t${copyText(row.buyer)}\t` +
    `${row.resolvedAt}\t${row.startedAt}\t${refList(row.refs)}\t{${row.quantities.join(',')}}\t{${row.returned.join(',')}}\t` +
    `{${row.counted.join(',')}}\n`
  );
}

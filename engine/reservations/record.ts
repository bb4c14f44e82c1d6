/** Hold and claim records as `stock/find` answers them: fields separated by `|` (docs/protocol.md). */
import { itemOf } from '../content.js';
import type { HoldLine, HoldRecord, ReservationState } from '../types.js';

export const STATES = ['held', 'confirmed', 'released', 'expired', 'returned'] as const;

/** The name of a state number of the records; 6 is a claim that is not complete. */
export function stateName(number: number): ReservationState | 'pending' {
  if (number === 6) return 'pending';
  const name = STATES[number - 1];
  if (!name) throw new TypeError(`a record has the unknown state ${number}`);
  return name;
}

/** [state, deadline, fingerprint, attempt, buyer, resolvedAt, (ref, quantity, returned, counted)…] */
export function parseHold(id: string, text: string): HoldRecord | undefined {
  if (text === '') return undefined;
  const fields = text.split('|');
  const lines: HoldLine[] = [];
  for (let at = 6; at < fields.length; at += 4) {
    lines.push({
      ...itemOf(fields[at]!),
      quantity: Number(fields[at + 1]),
      returned: Number(fields[at + 2]),
      counted: fields[at + 3] === '1',
    });
  }
  return { ...head(id, fields), resolvedAt: Number(fields[5]), lines };
}

/** [state, deadline, fingerprint, attempt, buyer, resolvedAt, openedAt, (ref, quantity)…] */
export function parseClaim(id: string, text: string): HoldRecord | undefined {
  if (text === '') return undefined;
  const fields = text.split('|');
  const lines: HoldLine[] = [];
  for (let at = 7; at < fields.length; at += 2)
    lines.push({ ...itemOf(fields[at]!), quantity: Number(fields[at + 1]), returned: 0, counted: false });
  return { ...head(id, fields), resolvedAt: Number(fields[5]), openedAt: Number(fields[6]), lines };
}

function head(id: string, fields: readonly string[]) {
  return {
    id,
    state: stateName(Number(fields[0])),
    deadline: Number(fields[1]),
    fingerprint: Number(fields[2]),
    attempt: Number(fields[3]),
    buyerId: fields[4]!,
  };
}

/** The state as of `now` (the node's clock): a hold past its deadline is expired, swept or not. (S9) */
export function stateAt(record: HoldRecord, now: number): ReservationState | 'pending' {
  return (record.state === 'held' || record.state === 'pending') && now >= record.deadline ? 'expired' : record.state;
}

/** Reservations as callers see them. */
import type { Context } from '../context.js';
import { itemOf, type RefLine } from '../content.js';
import { stockFind } from '../scripts/generated/stock-find.js';
import type { Reservation, ReservationLine, ReservationState } from '../types.js';
import { locate, type Found, type Place } from './place.js';
import { parseHold, stateAt } from './record.js';

/** A reservation nothing has come back from yet: no need to ask for its parts. */
export function view(
  reservationId: string,
  place: Pick<Place, 'buyerId' | 'parts'>,
  status: ReservationState,
  expiresAt: number,
  now: number,
): Reservation {
  const lines: ReservationLine[] = [];
  for (const part of place.parts) for (const line of part.lines) lines.push(reservationLine(line, status));
  return { reservationId, status, buyerId: place.buyerId, lines, expiresAt, now };
}

function reservationLine(line: RefLine, status: ReservationState): ReservationLine {
  const { location, sku } = itemOf(line.item);
  return { location, sku, quantity: line.quantity, returned: status === 'returned' ? line.quantity : 0 };
}

/** The whole truth, with what has come back of each line. */
export async function find(context: Context, id: string, timeoutMs: number): Promise<Reservation | undefined> {
  const found = await locate(context, id, timeoutMs);
  return found && viewFound(context, id, found, timeoutMs);
}

export async function viewFound(
  context: Context,
  id: string,
  { record, place, now }: Found,
  timeoutMs: number,
): Promise<Reservation> {
  const status = stateAt(record, now) as ReservationState;
  if (place.attempt === 0)
    return {
      reservationId: id,
      status,
      buyerId: record.buyerId,
      lines: plain(record.lines),
      expiresAt: record.deadline,
      now,
    };
  if (status !== 'confirmed') return view(id, place, status, record.deadline, now);
  const lines = await returnedLines(context, id, place, timeoutMs);
  return { reservationId: id, status, buyerId: record.buyerId, lines, expiresAt: record.deadline, now };
}

async function returnedLines(
  context: Context,
  id: string,
  place: Place,
  timeoutMs: number,
): Promise<ReservationLine[]> {
  const parts = await Promise.all(
    place.parts.map(async (part) => {
      const { result } = await context.caller.call(
        stockFind,
        part.partition,
        { id },
        { ack: 'executed', timeoutMs, id },
      );
      const hold = result.status === 'ok' ? parseHold(id, result.hold) : undefined;
      return hold?.attempt === place.attempt
        ? plain(hold.lines)
        : part.lines.map((line) => reservationLine(line, 'confirmed'));
    }),
  );
  return parts.flat();
}

function plain(lines: readonly ReservationLine[]): ReservationLine[] {
  return lines.map(({ location, sku, quantity, returned }) => ({ location, sku, quantity, returned }));
}

/** Answers of the stream, as the client's callers see them. */
import { ACKS, STATES } from '../wire/stream.js';
import type { FoundReservation, ItemRef, Reservation, StockLevel } from './types.js';

export function readReservation(answer: readonly unknown[]): Reservation {
  const expiresAt = answer[4] as number;
  return {
    reservationId: answer[2] as string,
    status: STATES[answer[3] as number]!,
    expiresAt,
    expiresInMs: Math.max(0, expiresAt - (answer[5] as number)),
    ack: ACKS[answer[6] as number]!,
    repeated: answer[1] === 1,
  };
}

export function readFound(answer: readonly unknown[]): FoundReservation {
  const expiresAt = answer[4] as number;
  const flat = answer[7] as readonly unknown[];
  const lines: FoundReservation['lines'][number][] = [];
  for (let at = 0; at < flat.length; at += 3) {
    const [location, sku] = (flat[at] as string).split(':') as [string, string];
    lines.push({ location, sku, quantity: flat[at + 1] as number, returned: flat[at + 2] as number });
  }
  return {
    reservationId: answer[2] as string,
    status: STATES[answer[3] as number]!,
    expiresAt,
    expiresInMs: Math.max(0, expiresAt - (answer[5] as number)),
    buyerId: answer[6] as string,
    lines,
  };
}

export function level({ location, sku }: ItemRef, flat: readonly unknown[], at: number): StockLevel | undefined {
  if (flat[at] === null) return undefined;
  return {
    location,
    sku,
    available: flat[at] as number,
    reserved: flat[at + 1] as number,
    sold: flat[at + 2] as number,
    version: flat[at + 3] as number,
    updatedAt: flat[at + 4] as number,
  };
}

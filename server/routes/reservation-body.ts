/** Reservations as answers carry them. */
import type { Ack, Reservation } from '../../engine/types.js';
import { time } from './time.js';

export function reservationBody({ reservationId, status, buyerId, lines, expiresAt, now }: Reservation) {
  return {
    reservationId,
    status,
    ...(buyerId === '' ? {} : { buyerId }),
    lines: lines.map(({ location, sku, quantity, returned }) => ({ location, sku, quantity, returned })),
    expiresAt: time(expiresAt),
    expiresInSeconds: secondsLeft(status, expiresAt, now),
  };
}

export const changeBody = (reservation: Reservation, ack: Ack) => ({ ...reservationBody(reservation), ack });

/**
 * What JSON.stringify makes of {@link changeBody}, at a third of its price. Nothing in it needs escaping: ids, locations and skus are
 * of A-Z a-z 0-9 . _ - ~ alone.
 */
export function changeJson({ reservationId, status, buyerId, lines, expiresAt, now }: Reservation, ack: Ack): string {
  let items = '';
  for (const { location, sku, quantity, returned } of lines) {
    if (items !== '') items += ',';
    items += `{"location":"${location}","sku":"${sku}","quantity":${quantity},"returned":${returned}}`;
  }
  const buyer = buyerId === '' ? '' : `"buyerId":"${buyerId}",`;
  const left = secondsLeft(status, expiresAt, now);
  return (
    `{"reservationId":"${reservationId}","status":"${status}",${buyer}"lines":[${items}],` +
    `"expiresAt":"${time(expiresAt)}","expiresInSeconds":${left},"ack":"${ack}"}`
  );
}

/** Rounded down: nobody should count on a second that is not whole. */
function secondsLeft(status: Reservation['status'], expiresAt: number, now: number): number {
  return status === 'held' ? Math.max(0, Math.floor((expiresAt - now) / 1000)) : 0;
}

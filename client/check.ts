/** What would be refused anyway is refused here, by name. */
import { ACKS } from '../wire/stream.js';
import { HoldfastError } from './errors.js';
import type { Ack, ItemRef } from './types.js';

const ID = /^[A-Za-z0-9._~-]{1,128}$/;

/** @throws HoldfastError `invalid_request` */
export function checkItem({ location, sku }: ItemRef): void {
  if (!ID.test(location) || !ID.test(sku))
    throw new HoldfastError('invalid_request', 'location and sku are 1 to 128 of A-Z a-z 0-9 . _ - ~');
}

/** @throws HoldfastError `invalid_request` */
export function checkItems(items: readonly ItemRef[]): void {
  if (items.length === 0) throw new HoldfastError('invalid_request', 'there are no items');
  for (const item of items) checkItem(item);
}

export function refOf({ location, sku }: ItemRef): string {
  return `${location}:${sku}`;
}

export function ackNumber(ack: Ack | undefined): number | undefined {
  if (ack === undefined) return undefined;
  const number = ACKS.indexOf(ack);
  if (number < 0) throw new HoldfastError('invalid_request', `ack is one of ${ACKS.join(', ')}`);
  return number;
}

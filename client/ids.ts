/** Reservation ids made here: known before they are sent, so that a lost answer can be asked for again. */
import { crc16 } from '../engine/partitions.js';
import { ID_ALPHABET, RANDOM_CHARS, steered } from '../engine/steer.js';
import type { ItemRef } from './types.js';

const pool = new Uint8Array(RANDOM_CHARS * 128);
let used = pool.length;

function randomHead(): string {
  if (used === pool.length) {
    globalThis.crypto.getRandomValues(pool);
    used = 0;
  }
  let head = '';
  for (let index = 0; index < RANDOM_CHARS; index++) head += ID_ALPHABET[pool[used + index]! & 63]!;
  used += RANDOM_CHARS;
  return head;
}

export function partitionOf(ref: string, partitions: number): number {
  return crc16(ref) & (partitions - 1);
}

/**
 * An id whose home is the partition of the item: a reservation of that item is then one step in the store. Any other id works,
 * too, at the price of a few more.
 */
export function newReservationId(item: ItemRef, partitions: number): string {
  const partition = partitionOf(`${item.location}:${item.sku}`, partitions);
  for (;;) {
    const id = steered(randomHead(), partition, partitions);
    if (id !== undefined) return id;
  }
}

/** Ids whose home is a partition of our choice: arithmetic alone, for whoever has randomness of their own. */
import { crc16 } from './partitions.js';

export const ID_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** 18 × 6 = 108 random bits; two more characters steer the home. */
export const RANDOM_CHARS = 18;

/**
 * `head` and two more characters, so that the home of the whole is `partition` of `count`; undefined for the rare head that no
 * pair of characters steers there.
 */
export function steered(head: string, partition: number, count: number): string | undefined {
  const mask = count - 1;
  const start = crc16(head);
  for (const first of ID_ALPHABET) {
    const middle = crc16(first, 0, 1, start);
    for (const second of ID_ALPHABET) {
      if ((crc16(second, 0, 1, middle) & mask) === partition) return head + first + second;
    }
  }
  return undefined;
}

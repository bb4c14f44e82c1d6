/** Ids whose home is a partition of our choice: arithmetic alone, for whoever has randomness of their own. */
import { crc16 } from './partitions.js';

export const ID_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** 18 × 6 = 108 random bits; two more characters steer the home. */
export const RANDOM_CHARS = 18;

/** For each number of partitions, the first pair of characters that moves the CRC to each of them. */
const PAIRS = new Map<number, readonly (string | undefined)[]>();

function pairsOf(count: number): readonly (string | undefined)[] {
  const known = PAIRS.get(count);
  if (known !== undefined) return known;
  const pairs = new Array<string | undefined>(count).fill(undefined);
  for (const first of ID_ALPHABET)
    for (const second of ID_ALPHABET) pairs[crc16(first + second) & (count - 1)] ??= first + second;
  PAIRS.set(count, pairs);
  return pairs;
}

const TWO_ZEROS = '\0\0';

/**
 * `head` and two more characters, so that the home of the whole is `partition` of `count` (a power of two); undefined for the rare
 * head that no pair of characters steers there. A CRC is linear: what two characters add to it does not depend on what stands
 * before them, so the pair is looked up and not searched for.
 */
export function steered(head: string, partition: number, count: number): string | undefined {
  const pair = pairTo(crc16(head), partition, count);
  return pair === undefined ? undefined : head + pair;
}

/** The two characters that steer what has this CRC16 to the partition. */
export function pairTo(crc: number, partition: number, count: number): string | undefined {
  const moved = crc16(TWO_ZEROS, 0, 2, crc) & (count - 1);
  return pairsOf(count)[moved ^ partition];
}

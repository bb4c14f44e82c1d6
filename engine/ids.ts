/** Ids made by the engine: random, and at home in a partition of our choice (docs/protocol.md). */
import { randomFillSync } from 'node:crypto';
import { crc16, type Partitions } from './partitions.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** 18 × 6 = 108 random bits; two more characters steer the home. */
const RANDOM_CHARS = 18;
const pool = Buffer.allocUnsafe(RANDOM_CHARS * 256);
let used = pool.length;

/** A random id without a home, for movements and the like. */
export function randomId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let id = '';
  for (let i = 0; i < RANDOM_CHARS; i++) id += ALPHABET[pool[used + i]! & 63]!;
  used += RANDOM_CHARS;
  return id;
}

/** A random id whose home is `partition`. */
export function idAtHome(partition: number, partitions: Partitions): string {
  const mask = partitions.count - 1;
  for (;;) {
    const head = randomId();
    const start = crc16(head);
    for (const first of ALPHABET) {
      const middle = crc16(first, 0, 1, start);
      for (const second of ALPHABET) {
        if ((crc16(second, 0, 1, middle) & mask) === partition) return head + first + second;
      }
    }
  }
}

/** Ids made by the engine: random, and at home in a partition of our choice (docs/protocol.md). */
import { randomFillSync } from 'node:crypto';
import type { Partitions } from './partitions.js';
import { ID_ALPHABET, RANDOM_CHARS, steered } from './steer.js';

const pool = Buffer.allocUnsafe(RANDOM_CHARS * 256);
let used = pool.length;

/** A random id without a home, for movements and the like. */
export function randomId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let id = '';
  for (let i = 0; i < RANDOM_CHARS; i++) id += ID_ALPHABET[pool[used + i]! & 63]!;
  used += RANDOM_CHARS;
  return id;
}

/** A random id whose home is `partition`. */
export function idAtHome(partition: number, partitions: Partitions): string {
  for (;;) {
    const id = steered(randomId(), partition, partitions.count);
    if (id !== undefined) return id;
  }
}

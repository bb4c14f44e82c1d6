/** Ids made by the engine: random, and at home in a partition of our choice (docs/protocol.md). */
import { randomFillSync } from 'node:crypto';
import { crc16Next, type Partitions } from './partitions.js';
import { ID_ALPHABET, pairTo, RANDOM_CHARS } from './steer.js';

const pool = Buffer.allocUnsafe(RANDOM_CHARS * 256);
let used = pool.length;
const CODES = Uint8Array.from(ID_ALPHABET, (char) => char.charCodeAt(0));
const codes = Buffer.alloc(RANDOM_CHARS + 2);

/** Where in the pool the random bytes of one more id are. */
function draw(): number {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += RANDOM_CHARS;
  return used - RANDOM_CHARS;
}

/** A random id without a home, for movements and the like. */
export function randomId(): string {
  const from = draw();
  let id = '';
  for (let i = 0; i < RANDOM_CHARS; i++) id += ID_ALPHABET[pool[from + i]! & 63]!;
  return id;
}

/**
 * A random id whose home is `partition`. Made from character codes in one step: a string that grows character by character
 * leaves a string for each of them to be collected, and is copied once more when it is written.
 */
export function idAtHome(partition: number, partitions: Partitions): string {
  for (;;) {
    const from = draw();
    let crc = 0;
    for (let i = 0; i < RANDOM_CHARS; i++) {
      const code = CODES[pool[from + i]! & 63]!;
      codes[i] = code;
      crc = crc16Next(crc, code);
    }
    const pair = pairTo(crc, partition, partitions.count);
    if (pair === undefined) continue;
    codes[RANDOM_CHARS] = pair.charCodeAt(0);
    codes[RANDOM_CHARS + 1] = pair.charCodeAt(1);
    return codes.toString('latin1');
  }
}

/**
 * The fixed partitions of an installation: their hash tags, their slots, and what belongs where.
 * Everything here is arithmetic; where a partition's slot is served is the topology's business.
 */

export const SLOTS = 16_384;
export const DEFAULT_PARTITIONS = 64;
export const MAX_PARTITIONS = 4_096;

const CRC16 = new Uint16Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  CRC16[byte] = crc;
}

/** The CRC16 of what has this one so far and goes on with the byte `code`. */
export function crc16Next(crc: number, code: number): number {
  return ((crc << 8) & 0xffff) ^ CRC16[((crc >> 8) ^ code) & 0xff]!;
}

/** CRC16/XMODEM, as Redis Cluster hashes keys. `text` is ASCII: ids, refs and tags are. `crc` continues an earlier one. */
export function crc16(text: string, from = 0, to = text.length, crc = 0): number {
  for (let i = from; i < to; i++) crc = crc16Next(crc, text.charCodeAt(i));
  return crc;
}

export class Partitions {
  /** Hash tag of each partition: the first of 0, 1, 2, … (base 36) whose slot lies in the partition's share. */
  readonly tags: readonly string[];
  readonly slots: readonly number[];
  private readonly mask: number;

  /** @throws RangeError unless `count` is a power of two up to MAX_PARTITIONS. */
  constructor(readonly count: number) {
    if (!Number.isInteger(count) || count < 1 || count > MAX_PARTITIONS || (count & (count - 1)) !== 0)
      throw new RangeError(`partitions must be a power of two from 1 to ${MAX_PARTITIONS}, not ${count}`);
    this.mask = count - 1;
    const share = SLOTS / count;
    const tags = new Array<string | undefined>(count).fill(undefined);
    const slots = new Array<number>(count).fill(0);
    for (let n = 0, missing = count; missing > 0; n++) {
      const tag = n.toString(36);
      const slot = crc16(tag) % SLOTS;
      const partition = Math.floor(slot / share);
      if (tags[partition] !== undefined) continue;
      tags[partition] = tag;
      slots[partition] = slot;
      missing--;
    }
    this.tags = tags as string[];
    this.slots = slots;
  }

  /** The partition of a stock item; `ref` is `location:sku`. */
  of(ref: string): number {
    return crc16(ref) & this.mask;
  }

  /** Whether what has this CRC16 belongs to the partition. */
  belongs(crc: number, partition: number): boolean {
    return (crc & this.mask) === partition;
  }

  /** The partition that decides about a reservation id. */
  home(id: string): number {
    return crc16(id) & this.mask;
  }
}

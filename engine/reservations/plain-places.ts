/**
 * Places of reservations that are decided by one record alone, kept outside the reach of the garbage collector: id and buyer as bytes
 * of one array, the chains of the hash table in others.
 *
 * As strings and objects in a Map they were what a reservation cost most after its promises: 100,000 of them outlive every
 * collection of the young generation, so each was copied twice and then marked again and again.
 */
import type { Part, Place } from './place.js';

/** Most that are remembered: the latest. */
const PLACES = 65_536;
/** Bytes of a place: two lengths, the id, the buyer. Ids of ours have 20 characters, UUIDs 36. */
const WIDTH = 64;
const TEXT = WIDTH - 2;
const CHAINS = 2 * PLACES;
const NONE = -1;

export class PlainPlaces {
  /** Made with the first place: 5 MB. */
  private bytes: Buffer | undefined;
  private readonly parts: (readonly Part[])[] = [];
  /** First place of each chain, latest first; and the next of each place. */
  private first = new Int32Array(0);
  private next = new Int32Array(0);
  private chainOf = new Int32Array(0);
  /** Places are written in turn; the oldest is overwritten. */
  private written = 0;

  get(id: string): Place | undefined {
    if (!this.bytes) return undefined;
    for (let at = this.first[chain(id)]!; at !== NONE; at = this.next[at]!) {
      if (!this.isOf(at, id)) continue;
      const from = at * WIDTH + 2 + id.length;
      const parts = this.parts[at]!;
      const buyerId = this.bytes.toString('latin1', from, from + this.bytes[at * WIDTH + 1]!);
      return { home: parts[0]!.partition, attempt: 0, buyerId, parts };
    }
    return undefined;
  }

  /** The home is where the one part lies. False: it does not fit, and nothing is remembered. */
  remember(id: string, buyerId: string, parts: readonly Part[]): boolean {
    const size = id.length;
    const buyerSize = buyerId.length;
    if (size + buyerSize > TEXT || parts.length !== 1) return false;
    const bytes = (this.bytes ??= this.begin());
    const at = this.written % PLACES;
    if (this.written >= PLACES) this.unlink(at);
    // Nothing is linked until all of it is written, so that what is no ASCII leaves an unused place at worst.
    this.written++;
    const from = at * WIDTH;
    bytes[from] = size;
    bytes[from + 1] = buyerSize;
    let seen = write(bytes, from + 2, id);
    seen |= write(bytes, from + 2 + size, buyerId);
    const own = chain(id);
    this.parts[at] = parts;
    this.chainOf[at] = own;
    if (seen > 127) {
      this.chainOf[at] = NONE;
      return false;
    }
    this.next[at] = this.first[own]!;
    this.first[own] = at;
    return true;
  }

  forget(id: string): void {
    if (!this.bytes) return;
    for (let at = this.first[chain(id)]!; at !== NONE; at = this.next[at]!)
      if (this.isOf(at, id)) {
        this.unlink(at);
        this.chainOf[at] = NONE;
      }
  }

  private begin(): Buffer {
    this.first = new Int32Array(CHAINS).fill(NONE);
    this.next = new Int32Array(PLACES);
    this.chainOf = new Int32Array(PLACES);
    return Buffer.alloc(PLACES * WIDTH);
  }

  private unlink(at: number): void {
    const own = this.chainOf[at]!;
    if (own === NONE) return;
    if (this.first[own] === at) {
      this.first[own] = this.next[at]!;
      return;
    }
    let before = this.first[own]!;
    while (this.next[before] !== at) before = this.next[before]!;
    this.next[before] = this.next[at]!;
  }

  private isOf(at: number, id: string): boolean {
    const bytes = this.bytes!;
    const from = at * WIDTH;
    if (bytes[from] !== id.length) return false;
    for (let i = 0; i < id.length; i++) if (bytes[from + 2 + i] !== id.charCodeAt(i)) return false;
    return true;
  }
}

/** The bits of all character codes. */
function write(bytes: Buffer, at: number, text: string): number {
  let seen = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    seen |= code;
    bytes[at + i] = code;
  }
  return seen;
}

/** FNV-1a, its upper bits folded in. */
function chain(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) & (CHAINS - 1);
}

/**
 * Entries by ref, bounded by count and by how long nobody asked for them. A hit pays one store into the entry; the rest is paid
 * by those who bring a new entry, and by a walk once a second that looks at a small part.
 */
import type { Entry } from './entry.js';

/** Entries looked at for one that may go, before the least recently used of them has to. */
const LOOKS = 16;
const WALK_MS = 1_000;
/** Walks until every entry was looked at. */
const WALKS = 60;

export class Shelf {
  readonly entries = new Map<string, Entry>();
  /** Turns of the clock, in seconds; what a hit stores into `Entry.seen`. */
  now = 1;
  evicted = 0;
  private readonly ring: Entry[] = [];
  private hand = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly most: number,
    private readonly idleSeconds: number,
  ) {
    this.timer = setInterval(() => this.walk(), WALK_MS);
    this.timer.unref();
  }

  add(entry: Entry): void {
    if (this.ring.length >= this.most) this.makeRoom();
    entry.seen = this.now;
    entry.place = this.ring.length;
    this.ring.push(entry);
    this.entries.set(entry.ref, entry);
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** Items that do not exist go first, then the one that was asked for least recently among some. */
  private makeRoom(): void {
    let oldest: Entry | undefined;
    for (let look = 0; look < LOOKS; look++) {
      this.hand = (this.hand + 1) % this.ring.length;
      const entry = this.ring[this.hand]!;
      if (entry.flight || entry.followed) continue;
      if (!oldest || worth(entry) < worth(oldest)) oldest = entry;
      if (entry.version === 0 && entry.seen < this.now) break;
    }
    // All of these are being read or followed: for a moment there is one more than there may be.
    if (oldest) this.remove(oldest);
  }

  private walk(): void {
    this.now++;
    const looks = Math.ceil(this.ring.length / WALKS);
    for (let look = 0; look < looks && this.ring.length > 0; look++) {
      if (this.hand >= this.ring.length) this.hand = 0;
      const entry = this.ring[this.hand]!;
      // What takes its place is looked at next.
      if (!entry.flight && !entry.followed && this.now - entry.seen > this.idleSeconds) this.remove(entry);
      else this.hand++;
    }
  }

  private remove(entry: Entry): void {
    const last = this.ring.pop()!;
    if (last !== entry) {
      this.ring[entry.place] = last;
      last.place = entry.place;
    }
    entry.place = -1;
    // Whoever still has it must not take it for followed.
    entry.generation = -1;
    this.entries.delete(entry.ref);
    this.evicted++;
  }
}

function worth(entry: Entry): number {
  return entry.version === 0 ? entry.seen - 1e9 : entry.seen;
}

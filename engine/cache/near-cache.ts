/**
 * The near cache: counts of items in the memory of this process, followed by deltas. (S2, S10)
 *
 * An entry is true as of the time its partition is vouched for (feed.ts). Reads and deltas cross each other: an entry is on the
 * shelf before its read leaves, so that a delta overtaking the answer finds it; of two counts the higher version stays. What was
 * read before something was missed is answered and not kept.
 */
import type { Caller } from '../caller.js';
import type { Arrival, Feed } from '../deltas/feed.js';
import { HEAD_CELLS, LEVEL_CELLS, type DeltaMessage, type Deltas } from '../deltas/deltas.js';
import { InvalidArgument } from '../errors.js';
import type { Partitions } from '../partitions.js';
import { stockCheck } from '../scripts/generated/stock-check.js';
import { Entry } from './entry.js';
import { Followers, type Followed, type Told } from './followers.js';
import { Shelf } from './shelf.js';

export interface NearCacheOptions {
  /** Oldest answer from memory, in ms; what is older is read. */
  readonly maxStaleMs?: number;
  /** Most items kept. */
  readonly items?: number;
  /** Items nobody asked for go after so many seconds. */
  readonly idleSeconds?: number;
}

export interface NearCacheParts {
  readonly deltas: Deltas;
  readonly caller: Caller;
  readonly partitions: Partitions;
  readonly timeoutMs: number;
}

/** An answer: what is known of the item, and how many ms before the question it may have been outdated. */
export interface Known {
  readonly entry: Entry;
  readonly staleMs: number;
}

export const DEFAULT_MAX_STALE_MS = 1_000;
export const DEFAULT_ITEMS = 1_000_000;
const DEFAULT_IDLE_SECONDS = 600;
/** Ages of answers are counted by ms up to here. */
export const COUNTED_AGES = 1_024;

export class NearCache {
  readonly counts = { hits: 0, misses: 0, fresh: 0, reads: 0, failures: 0 };
  /** Answers from memory by their age in ms; the last one counts all that were older. */
  readonly ages = new Float64Array(COUNTED_AGES);
  readonly maxStaleMs: number;
  private readonly shelf: Shelf;
  private readonly followers = new Followers((entry) => this.read(entry.ref));

  constructor(
    private readonly parts: NearCacheParts,
    options: NearCacheOptions = {},
  ) {
    const { maxStaleMs = DEFAULT_MAX_STALE_MS, items = DEFAULT_ITEMS, idleSeconds = DEFAULT_IDLE_SECONDS } = options;
    for (const [name, value] of Object.entries({ maxStaleMs, items, idleSeconds }))
      if (!Number.isSafeInteger(value) || value < 1)
        throw new InvalidArgument(`${name} must be a whole number above 0`);
    this.maxStaleMs = maxStaleMs;
    this.shelf = new Shelf(items, idleSeconds);
    parts.deltas.listen({
      changed: (feed, message, arrival) => this.changed(feed, message, arrival),
      missed: (feed) => this.followers.missed(feed),
      comparing: () => this.followers.keepInUse(),
    });
  }

  get size(): number {
    return this.shelf.entries.size;
  }

  get evicted(): number {
    return this.shelf.evicted;
  }

  get deltas(): Deltas {
    return this.parts.deltas;
  }

  /**
   * The entry when it can be answered from at once; undefined: it has to be read. The hot path: no promise, nothing made.
   * Its age is {@link ageOf}.
   * @param now performance.now(), once for a whole batch
   */
  hit(ref: string, now: number): Entry | undefined {
    const entry = this.shelf.entries.get(ref);
    return entry !== undefined && this.use(entry, now) ? entry : undefined;
  }

  /** The same for an entry that a hit has given before: false when it cannot be answered from any more. */
  use(entry: Entry, now: number): boolean {
    const { feed } = entry;
    const age = now - feed.vouchedAt;
    // Whoever comes for it keeps its partition compared, so that the next one finds it vouched for.
    feed.idle = 0;
    if (entry.generation !== feed.generation || age > this.maxStaleMs) return false;
    entry.seen = this.shelf.now;
    this.counts.hits++;
    const ms = age | 0;
    this.ages[ms < COUNTED_AGES ? ms : COUNTED_AGES - 1]!++;
    return true;
  }

  /** What is in memory of the item, be it usable or not. */
  find(ref: string): Entry | undefined {
    return this.shelf.entries.get(ref);
  }

  /** Whether it could be answered from now. */
  usable({ generation, feed }: Entry, now: number): boolean {
    feed.idle = 0;
    return generation === feed.generation && now - feed.vouchedAt <= this.maxStaleMs;
  }

  /** How many ms an answer from the entry may be out of date, rounded up. */
  ageOf(entry: Entry, now: number): number {
    const age = Math.ceil(now - entry.feed.vouchedAt);
    return age > 0 ? age : 0;
  }

  /** From memory where that is vouched for, else from Redis. @throws what a read of the engine throws */
  async get(ref: string, fresh = false): Promise<Known> {
    const now = performance.now();
    const entry = fresh ? undefined : this.hit(ref, now);
    return entry ? { entry, staleMs: this.ageOf(entry, now) } : this.read(ref, fresh);
  }

  /**
   * Reads an item that could not be answered from memory. Everybody who asks while a read is on its way gets its answer;
   * `fresh` asks by itself. @throws what a read of the engine throws
   */
  async read(ref: string, fresh = false): Promise<Known> {
    const askedAt = performance.now();
    const entry = this.shelf.entries.get(ref) ?? this.shelve(ref);
    entry.seen = this.shelf.now;
    entry.feed.idle = 0;
    if (fresh) {
      this.counts.fresh++;
      return { entry: await this.ask(entry, askedAt), staleMs: 0 };
    }
    this.counts.misses++;
    const { flight } = entry;
    if (flight && flight.generation === entry.feed.generation && askedAt - flight.askedAt <= this.maxStaleMs)
      return { entry: await flight.done, staleMs: Math.ceil(askedAt - flight.askedAt) };
    const mine = { generation: entry.feed.generation, askedAt, done: this.ask(entry, askedAt) };
    entry.flight = mine;
    try {
      return { entry: await mine.done, staleMs: 0 };
    } finally {
      if (entry.flight === mine) entry.flight = undefined;
    }
  }

  /** The entry when it is known, from at most `withinMs` ago, that nothing of the item is left. */
  soldOut(ref: string, withinMs: number, now: number): Entry | undefined {
    const entry = this.shelf.entries.get(ref);
    if (entry === undefined || entry.available > 0 || !entry.exists) return undefined;
    const { feed } = entry;
    feed.idle = 0;
    entry.seen = this.shelf.now;
    return entry.generation === feed.generation && now - feed.vouchedAt <= withinMs ? entry : undefined;
  }

  /**
   * Keeps an item in memory. `told` is called with its counts as soon as they are known, at once where they are, and again
   * whenever they change.
   */
  follow(ref: string, told: Told): Followed {
    return this.followers.add(this.shelf.entries.get(ref) ?? this.shelve(ref), told);
  }

  /** By performance.now(): all changes of the partition's followed items until then have been told; -Infinity if unknown. */
  vouchedAt(partition: number): number {
    return this.followers.vouchedAt(this.parts.deltas.feeds[partition]!);
  }

  close(): void {
    this.shelf.close();
  }

  private shelve(ref: string): Entry {
    const entry = new Entry(ref, this.parts.deltas.feeds[this.parts.partitions.of(ref)]!);
    this.shelf.add(entry);
    return entry;
  }

  private async ask(entry: Entry, askedAt: number): Promise<Entry> {
    const { caller, deltas, timeoutMs } = this.parts;
    const { feed, ref } = entry;
    this.counts.reads++;
    let answer;
    try {
      answer = await caller.call(stockCheck, feed.partition, { item: ref }, { ack: 'executed', timeoutMs });
    } catch (error) {
      this.counts.failures++;
      throw error;
    }
    const { result, epoch, seq } = answer;
    if (result.status === 'invalid_argument' || result.status === 'fenced')
      throw new InvalidArgument(`check refused ${ref}: ${result.status}`);
    const keep = deltas.found(feed.partition, epoch, seq, askedAt) && entry.place >= 0;
    const version = result.status === 'ok' ? result.version : 0;
    // A delta was faster.
    if (keep && entry.generation === feed.generation && entry.version >= version) return entry;
    const target = keep ? entry : new Entry(ref, feed);
    if (result.status === 'ok')
      target.set(result.available, result.reserved, result.sold, result.version, result.updatedAt);
    else target.set(0, 0, 0, 0, 0);
    if (keep) target.generation = feed.generation;
    if (keep && entry.followed) this.followers.told(entry);
    return target;
  }

  private changed(feed: Feed, message: DeltaMessage, arrival: Arrival): void {
    const { entries } = this.shelf;
    const { generation } = feed;
    const at = message[HEAD_CELLS - 1] as number;
    for (let cell = HEAD_CELLS; cell < message.length; cell += LEVEL_CELLS) {
      const entry = entries.get(message[cell] as string);
      if (entry === undefined || entry.feed !== feed) continue;
      const version = message[cell + 4] as number;
      // What came late says nothing about what was missed; what follows what is known is the whole truth of the item.
      if (entry.generation === generation ? version <= entry.version : arrival === 'old') continue;
      entry.set(message[cell + 1] as number, message[cell + 2] as number, message[cell + 3] as number, version, at);
      entry.generation = generation;
      if (entry.followed) this.followers.told(entry);
    }
  }
}

/**
 * Subscribed items in this process's memory. Reading is a look-up; the server pushes what changes, and how old what it pushed may
 * be. After a lost connection everything is subscribed to again, and the newest counts come first.
 */
import { LEVEL_COLUMNS } from '../wire/stream.js';
import { partitionOf } from './ids.js';
import type { Link } from './link.js';
import { ReplicaItem } from './replica-item.js';
import type { ItemRef } from './types.js';

export type ChangeListener = (item: ReplicaItem) => void;

const COLUMNS = 1 + LEVEL_COLUMNS;

export class Replica {
  private readonly places = new Map<string, Map<string, ReplicaItem>>();
  private readonly listeners = new Set<ChangeListener>();
  /** By performance.now(), of each partition: all changes until then are here. */
  private vouchedAt = new Float64Array(0);
  /** The same, as the connection before had it: for items the present one has not told of yet. */
  private vouchedBefore = new Float64Array(0);
  private generation = 0;
  private awaited: { left: Set<ReplicaItem>; resolve: () => void }[] = [];
  size = 0;

  /**
   * The newest counts known, at once; undefined for items that are not subscribed to or not known yet. The object is live and is
   * not to be changed. How old it may be: {@link staleMs}.
   */
  get(location: string, sku: string): ReplicaItem | undefined {
    const item = this.places.get(location)?.get(sku);
    return item !== undefined && item.known ? item : undefined;
  }

  /** The same, but undefined where it may be older than `maxStaleMs`. (S10) */
  fresh(location: string, sku: string, maxStaleMs: number): ReplicaItem | undefined {
    const item = this.get(location, sku);
    return item !== undefined && this.staleMs(item) <= maxStaleMs ? item : undefined;
  }

  /**
   * Upper bound of the age of an item's counts, in ms: time since the server vouched for them, plus how old they were then, plus
   * a round trip. Grows while there is no connection; Infinity where nobody vouches.
   */
  staleMs(item: ReplicaItem): number {
    const { generation } = this;
    const known = item.generation === generation ? this.vouchedAt : this.vouchedBefore;
    const at = item.generation < generation - 1 ? undefined : known[item.partition];
    return at === undefined ? Infinity : Math.max(0, performance.now() - at);
  }

  /** Called with every item whose counts have changed or have become known. Returns what ends it. */
  onChange(listener: ChangeListener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  *items(): Iterable<ReplicaItem> {
    for (const place of this.places.values()) for (const item of place.values()) if (item.known) yield item;
  }

  // ── for the client ──

  /** @internal Every item that is wanted, known or not. */
  *wanted(): Iterable<ReplicaItem> {
    for (const place of this.places.values()) yield* place.values();
  }

  /** @internal Items that nobody wanted before. */
  want(refs: readonly ItemRef[], partitions: number): { all: ReplicaItem[]; added: ReplicaItem[] } {
    const all: ReplicaItem[] = [];
    const added: ReplicaItem[] = [];
    for (const { location, sku } of refs) {
      let place = this.places.get(location);
      if (place === undefined) this.places.set(location, (place = new Map<string, ReplicaItem>()));
      let item = place.get(sku);
      if (item === undefined) {
        const ref = `${location}:${sku}`;
        item = new ReplicaItem(location, sku, ref, partitionOf(ref, partitions));
        place.set(sku, item);
        added.push(item);
        this.size++;
      }
      item.wanted++;
      all.push(item);
    }
    return { all, added };
  }

  /** @internal Returns those nobody wants any more. */
  unwant(refs: readonly ItemRef[]): ReplicaItem[] {
    const gone: ReplicaItem[] = [];
    for (const { location, sku } of refs) {
      const place = this.places.get(location);
      const item = place?.get(sku);
      if (place === undefined || item === undefined || --item.wanted > 0) continue;
      place.delete(sku);
      if (place.size === 0) this.places.delete(location);
      this.size--;
      gone.push(item);
    }
    return gone;
  }

  /** @internal Resolves when the counts of all of them are known. */
  known(items: readonly ReplicaItem[]): Promise<void> {
    const left = new Set(items.filter((item) => !item.known));
    if (left.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.awaited.push({ left, resolve }));
  }

  /** @internal Another connection tells from now on. */
  attach(link: Link): void {
    this.generation++;
    this.vouchedBefore = this.vouchedAt;
    this.vouchedAt = new Float64Array(link.partitions).fill(-Infinity);
  }

  /** @internal */
  changes(link: Link, columns: readonly unknown[]): void {
    for (let at = 0; at < columns.length; at += COLUMNS) {
      const item = link.tracked[columns[at] as number];
      if (item === undefined) continue;
      const available = columns[at + 1] as number | null;
      item.exists = available !== null;
      item.available = available ?? 0;
      item.reserved = columns[at + 2] as number;
      item.sold = columns[at + 3] as number;
      item.version = columns[at + 4] as number;
      item.updatedAt = columns[at + 5] as number;
      const first = !item.known;
      item.known = true;
      item.generation = this.generation;
      for (const listener of this.listeners) listener(item);
      if (first && this.awaited.length > 0) this.becameKnown(item);
    }
  }

  /** @internal */
  vouch(link: Link, staleMs: number, unusual: readonly unknown[]): void {
    const now = performance.now() - link.roundTripMs;
    this.vouchedAt.fill(now - staleMs);
    for (let at = 0; at < unusual.length; at += 2)
      this.vouchedAt[unusual[at] as number] = now - ((unusual[at + 1] as number | null) ?? Infinity);
  }

  private becameKnown(item: ReplicaItem): void {
    for (const one of this.awaited) if (one.left.delete(item) && one.left.size === 0) one.resolve();
    this.awaited = this.awaited.filter(({ left }) => left.size > 0);
  }
}

/**
 * Items that somebody wants to be told of: they stay in memory, are read again when something may have been missed, and each
 * change is told once, newest last.
 */
import type { Feed } from '../deltas/feed.js';
import type { Entry } from './entry.js';

/** Told of the newest counts; `entry.exists` says whether there is such an item. It must not keep the entry. */
export type Told = (entry: Entry) => void;

export interface Followed {
  /** Ends it; nothing is told any more. */
  stop(): void;
}

const RETRY_MS = 250;

interface Group {
  readonly entries: Map<Entry, Set<Told>>;
  /** Those whose counts may be out of date: until they are read, nobody vouches for the partition's followers. */
  readonly behind: Set<Entry>;
}

export class Followers {
  private readonly groups = new Map<Feed, Group>();

  constructor(private readonly read: (entry: Entry) => Promise<unknown>) {}

  add(entry: Entry, told: Told): Followed {
    let group = this.groups.get(entry.feed);
    if (!group) this.groups.set(entry.feed, (group = { entries: new Map(), behind: new Set() }));
    const { entries, behind } = group;
    let listeners = entries.get(entry);
    if (!listeners) entries.set(entry, (listeners = new Set()));
    // The same function may follow twice.
    const mine: Told = (news) => told(news);
    listeners.add(mine);
    entry.followed = true;
    if (entry.generation === entry.feed.generation) mine(entry);
    else if (!behind.has(entry)) {
      behind.add(entry);
      void this.catchUp(group, entry);
    }
    return { stop: () => this.remove(entry, mine) };
  }

  /** The counts of a followed entry are known, or new. */
  told(entry: Entry): void {
    const group = this.groups.get(entry.feed);
    group?.behind.delete(entry);
    for (const listener of group?.entries.get(entry) ?? []) listener(entry);
  }

  /** Changes of the partition were missed. */
  missed(feed: Feed): void {
    const group = this.groups.get(feed);
    if (!group) return;
    for (const entry of group.entries.keys()) {
      if (entry.generation === feed.generation || group.behind.has(entry)) continue;
      group.behind.add(entry);
      void this.catchUp(group, entry);
    }
  }

  /** By performance.now(): all changes of the partition's followed items until then have been told. */
  vouchedAt(feed: Feed): number {
    const group = this.groups.get(feed);
    return group && group.behind.size > 0 ? -Infinity : feed.vouchedAt;
  }

  /** Followed partitions are in use. */
  keepInUse(): void {
    for (const feed of this.groups.keys()) feed.idle = 0;
  }

  private remove(entry: Entry, told: Told): void {
    const group = this.groups.get(entry.feed);
    const listeners = group?.entries.get(entry);
    if (!group || !listeners?.delete(told) || listeners.size > 0) return;
    entry.followed = false;
    group.entries.delete(entry);
    group.behind.delete(entry);
    if (group.entries.size === 0) this.groups.delete(entry.feed);
  }

  /** Reads until it is known. A delta may be faster, and its read may be out of date when it comes. */
  private async catchUp(group: Group, entry: Entry): Promise<void> {
    while (group.behind.has(entry)) {
      const known = await this.read(entry).then(
        () => true,
        () => false,
      );
      if (entry.generation === entry.feed.generation) this.settle(group, entry);
      else if (!known || group.behind.has(entry)) await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
    }
  }

  /** What was read may be what was known before: then nobody has been told yet that it still holds. */
  private settle(group: Group, entry: Entry): void {
    if (group.behind.has(entry)) this.told(entry);
  }
}

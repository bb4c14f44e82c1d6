/** Where calls wait until they are sent: by node while their partition is open, parked at the partition otherwise. */
import type { Lane, Link } from '../redis/link.js';
import { ReplicaWait } from '../redis/acks.js';
import { type AnyScript, type Batch, BatchQueue, type Counter } from './batch.js';
import type { Tuning } from './tuning.js';

/** What belongs to one partition. */
export class Lot {
  link: Link | undefined;
  /** Calls are held back: until recovery opens the partition, or for a moment. */
  closed = false;
  pause: NodeJS.Timeout | undefined;
  parked: Batch[] = [];
  /** The batch of each script that has room, while it is not sent. */
  readonly open = new Map<AnyScript, Batch>();
  constructor(readonly partition: number) {}
}

/** What belongs to one node. */
export class Station implements Counter {
  readonly writes = new BatchQueue();
  readonly reads = new BatchQueue();
  readonly wait: ReplicaWait;
  queued = 0;
  scheduled = false;
  /** By performance.now(). */
  scheduledAt = 0;
  private sentAt = -Infinity;
  private rest: NodeJS.Timeout | undefined;
  constructor(
    readonly link: Link,
    private readonly tuning: Tuning,
    private readonly ready: (station: Station) => void,
  ) {
    this.wait = new ReplicaWait(tuning);
  }

  /** A lane for what waits in one of the queues, if there is anything and it may leave now. */
  laneFor(queue: BatchQueue): Lane | undefined {
    const { readLanes, writeLanes } = this.link;
    const lane = queue.peek() && this.link.freeLane(queue === this.reads ? readLanes : writeLanes);
    return lane && (queue === this.reads || this.mayLeave()) ? lane : undefined;
  }

  /** Whether the next pipeline of writes may leave; if not, `ready` is called when it may. */
  private mayLeave(): boolean {
    if (this.tuning.gapMs === 0) return true;
    const now = performance.now();
    const rest = this.sentAt + this.tuning.gapMs - now;
    if (rest <= 0) {
      this.sentAt = now;
      return true;
    }
    this.rest ??= setTimeout(() => {
      this.rest = undefined;
      this.ready(this);
    }, rest);
    return false;
  }

  get busy(): boolean {
    return this.reads.peek() !== undefined || this.writes.peek() !== undefined;
  }
}

export class Waiting {
  readonly lots: readonly Lot[];
  /** Counts what is parked, over all partitions. */
  readonly parked: Counter = { queued: 0 };
  private readonly stations = new Map<Link, Station>();

  constructor(
    partitions: number,
    private readonly tuning: Tuning,
    /** There is something to send from this station. */
    private readonly ready: (station: Station) => void,
  ) {
    this.lots = Array.from({ length: partitions }, (_, partition) => new Lot(partition));
  }

  get links(): Link[] {
    return [...this.stations.keys()];
  }

  stationOf(link: Link | undefined): Station | undefined {
    return link && this.stations.get(link);
  }

  /** The station a call of this lot waits at now; undefined when it is parked. */
  stationFor(lot: Lot): Station | undefined {
    return lot.closed ? undefined : this.stationOf(lot.link);
  }

  add(link: Link): void {
    this.stations.set(link, new Station(link, this.tuning, this.ready));
  }

  /** Takes a node away. What waits there has to be moved before. */
  remove(link: Link): void {
    this.stations.delete(link);
  }

  /** Puts a batch where it waits to be sent. */
  queue(batch: Batch): void {
    const lot = this.lots[batch.partition]!;
    const station = this.stationFor(lot);
    batch.place = 'waiting';
    batch.countAt(station ?? this.parked);
    if (!station) {
      lot.parked.push(batch);
      return;
    }
    (batch.script.readonly ? station.reads : station.writes).push(batch);
    this.ready(station);
  }

  /** Holds the calls of a partition back until `open`. */
  hold(lot: Lot): void {
    clearTimeout(lot.pause);
    lot.pause = undefined;
    lot.closed = true;
  }

  open(lot: Lot): void {
    clearTimeout(lot.pause);
    lot.pause = undefined;
    lot.closed = false;
    if (!this.stationOf(lot.link)) return;
    for (const batch of lot.parked.splice(0)) if (batch.place === 'waiting') this.queue(batch);
  }

  /** Holds a partition's calls back for a moment: what they met passes by itself. */
  pause(lot: Lot, ms: number): void {
    if (lot.closed) return;
    lot.closed = true;
    lot.pause = setTimeout(() => this.open(lot), ms);
  }

  /** Partitions are served by other nodes now: everything that waits goes along. */
  rehome(changes: ReadonlyMap<Lot, Link>): void {
    const left = new Set<Station>();
    for (const [lot, link] of changes) {
      const old = this.stationOf(lot.link);
      if (old) left.add(old);
      lot.link = link;
    }
    for (const station of left) for (const batch of this.drain(station)) this.queue(batch);
    for (const lot of changes.keys()) if (!lot.closed) this.open(lot);
  }

  /** Takes everything out, for closing. */
  drainAll(): Batch[] {
    const batches: Batch[] = [];
    for (const lot of this.lots) {
      clearTimeout(lot.pause);
      lot.pause = undefined;
      batches.push(...lot.parked.splice(0).filter((batch) => batch.place === 'waiting'));
    }
    for (const station of this.stations.values()) batches.push(...this.drain(station));
    return batches;
  }

  /** Forgets parked batches whose calls are all over. */
  tidy(): void {
    for (const lot of this.lots)
      if (lot.parked.some((batch) => batch.place === 'gone'))
        lot.parked = lot.parked.filter((batch) => batch.place !== 'gone');
    for (const station of this.stations.values()) {
      station.reads.peek();
      station.writes.peek();
    }
  }

  private drain(station: Station): Batch[] {
    return [...station.reads.drain(), ...station.writes.drain()];
  }
}

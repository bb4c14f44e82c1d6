/**
 * Changes of counts as they happen, for whoever keeps counts in memory: by messages, and by comparing positions where messages
 * are silent. (S10)
 */
import { Unpackr } from 'msgpackr';
import type { Keys } from '../keys.js';
import type { ConnectionSettings } from '../redis/connection.js';
import type { Link } from '../redis/link.js';
import { textOf } from '../redis/nodes.js';
import { type Arrival, Feed, IDLE_COMPARISONS } from './feed.js';
import { Subscriptions } from './subscriptions.js';

/** Cells of a message before its levels, and of a level: ref, available, reserved, sold, version. */
export const HEAD_CELLS = 4;
export const LEVEL_CELLS = 5;

/** `[epoch, previous, last, at, ref, available, reserved, sold, version, …]` */
export type DeltaMessage = readonly (string | number)[];

export interface DeltaListener {
  /** A message has come; the feed has moved on already. */
  changed(feed: Feed, message: DeltaMessage, arrival: Arrival): void;
  /** Something was missed: what was known under the generations before may be out of date. */
  missed?(feed: Feed): void;
  /** Positions are about to be compared: a listener may mark partitions as used. */
  comparing?(): void;
}

export interface DeltasHost {
  readonly keys: Keys;
  readonly connection: ConnectionSettings;
  readonly links: () => readonly Link[];
  readonly linkOf: (partition: number) => Link | undefined;
}

/** Partitions in use are compared so often. What an answer from memory may lack is younger than this and a round trip. */
const COMPARE_MS = 25;
const COMMAND_TIMEOUT_MS = 1_000;

const unpackr = new Unpackr({ useRecords: false, int64AsType: 'number' });

export class Deltas {
  readonly counts = { messages: 0, gaps: 0, malformed: 0 };
  readonly feeds: readonly Feed[];
  private readonly subscriptions: Subscriptions;
  private readonly listeners: DeltaListener[] = [];
  private readonly comparing = new Set<Link>();
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly host: DeltasHost) {
    const { count } = host.keys.partitions;
    this.feeds = Array.from({ length: count }, (_, partition) => new Feed(partition));
    this.subscriptions = new Subscriptions(host.keys, host.connection, host.linkOf, (partition, message) =>
      this.received(partition, message),
    );
  }

  get resubscribed(): number {
    return this.subscriptions.resubscribed;
  }

  /** The first listener begins the subscriptions. */
  listen(listener: DeltaListener): void {
    this.listeners.push(listener);
    if (this.timer || this.closed) return;
    this.timer = setInterval(() => this.compare(), COMPARE_MS);
    this.subscriptions.follow();
  }

  /** The topology may have changed. */
  follow(): void {
    if (this.timer) this.subscriptions.follow();
  }

  /**
   * A read found the partition at this position.
   * @returns whether what was read may be kept under the feed's generation
   */
  found(partition: number, epoch: number, seq: number, askedAt: number): boolean {
    const feed = this.feeds[partition]!;
    const following = this.subscriptions.has(partition);
    const first = feed.epoch < 0;
    const verdict = feed.found(epoch, seq, askedAt, following);
    if (verdict === 'gap' && !first) {
      this.gap(feed);
      if (following) this.subscriptions.renew(partition);
    }
    return verdict !== 'old';
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.timer = undefined;
    this.subscriptions.close();
  }

  private received(partition: number, bytes: Buffer): void {
    const message = readMessage(bytes);
    if (!message) {
      this.counts.malformed++;
      return;
    }
    this.counts.messages++;
    const feed = this.feeds[partition]!;
    const [epoch, previous, last] = message as readonly number[];
    const first = feed.epoch < 0;
    const arrival = feed.arrived(epoch!, previous!, last!);
    for (const listener of this.listeners) listener.changed(feed, message, arrival);
    if (arrival === 'gap' && !first) this.gap(feed);
  }

  private gap(feed: Feed): void {
    this.counts.gaps++;
    for (const listener of this.listeners) listener.missed?.(feed);
  }

  private compare(): void {
    for (const listener of this.listeners) listener.comparing?.();
    for (const link of this.host.links()) {
      if (this.comparing.has(link)) continue;
      const partitions = link.master.partitions.filter(
        (partition) => this.feeds[partition]!.idle++ < IDLE_COMPARISONS && this.host.linkOf(partition) === link,
      );
      if (partitions.length === 0) continue;
      this.comparing.add(link);
      this.compareOn(link, partitions)
        // The node is away: what it would have vouched for grows old.
        .catch(() => undefined)
        .finally(() => this.comparing.delete(link));
    }
  }

  private async compareOn(link: Link, partitions: readonly number[]): Promise<void> {
    const connection = await link.controlConnection();
    const askedAt = performance.now();
    const commands = partitions.map((partition) => [
      'HMGET',
      this.host.keys.fixed('meta', partition),
      'owner',
      'epoch',
      'seq',
    ]);
    const replies = await connection.all(commands, COMMAND_TIMEOUT_MS);
    if (this.closed) return;
    for (const [index, reply] of replies.entries()) {
      // Moved, or not open where it is: nobody vouches for it.
      if (!Array.isArray(reply) || textOf(reply[0]) !== link.master.id) continue;
      const epoch = Number(textOf(reply[1]));
      const seq = Number(textOf(reply[2]));
      if (epoch > 0) this.found(partitions[index]!, epoch, seq, askedAt);
    }
  }
}

/** Undefined for what no script of ours has sent. */
function readMessage(bytes: Buffer): DeltaMessage | undefined {
  try {
    const message: unknown = unpackr.unpack(bytes);
    if (!Array.isArray(message) || (message.length - HEAD_CELLS) % LEVEL_CELLS !== 0) return undefined;
    for (let cell = 0; cell < message.length; cell++) {
      const isRef = cell >= HEAD_CELLS && (cell - HEAD_CELLS) % LEVEL_CELLS === 0;
      if (isRef ? typeof message[cell] !== 'string' : !Number.isSafeInteger(message[cell])) return undefined;
    }
    return message.length >= HEAD_CELLS ? (message as DeltaMessage) : undefined;
  } catch {
    return undefined;
  }
}

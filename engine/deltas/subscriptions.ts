/**
 * Sharded subscriptions to all partitions, one connection a master. Whatever happens to a connection or a slot, the answer is a
 * new connection to whoever serves the partition then; what was missed meanwhile shows in the numbers of the messages.
 */
import type { Keys } from '../keys.js';
import { Connection, type ConnectionSettings } from '../redis/connection.js';
import type { Link } from '../redis/link.js';

const RETRY_MS = 100;

interface Subscription {
  readonly connection: Promise<Connection>;
  /** Partitions asked for, and those of them that the server has confirmed. */
  readonly asked: Set<number>;
  readonly confirmed: Set<number>;
}

export class Subscriptions {
  /** Connections opened after the first one of a master. */
  resubscribed = 0;
  private readonly byLink = new Map<Link, Subscription>();
  private readonly known = new WeakSet<Link>();
  private readonly partitionOf = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly keys: Keys,
    private readonly settings: ConnectionSettings,
    private readonly linkOf: (partition: number) => Link | undefined,
    private readonly message: (partition: number, message: Buffer) => void,
  ) {
    for (const [partition, channel] of keys.fixedOf('deltas').entries()) this.partitionOf.set(channel, partition);
  }

  /** Subscribes every partition where it now is. */
  follow(): void {
    if (this.closed) return;
    const used = new Set<Link>();
    for (let partition = 0; partition < this.keys.partitions.count; partition++) {
      const link = this.linkOf(partition);
      if (!link) continue;
      used.add(link);
      this.subscribe(link, partition);
    }
    for (const link of [...this.byLink.keys()]) if (!used.has(link)) this.drop(link);
  }

  /** Whether messages of the partition should be coming in. */
  has(partition: number): boolean {
    const link = this.linkOf(partition);
    return link !== undefined && this.byLink.get(link)?.confirmed.has(partition) === true;
  }

  /** Messages were lost although the subscription stands: begins anew. */
  renew(partition: number): void {
    const link = this.linkOf(partition);
    if (link) this.drop(link);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    for (const link of [...this.byLink.keys()]) this.drop(link);
  }

  private subscribe(link: Link, partition: number): void {
    const { connection, asked, confirmed } = this.byLink.get(link) ?? this.open(link);
    if (asked.has(partition)) return;
    asked.add(partition);
    connection
      .then((opened) => opened.redis.ssubscribe(this.keys.fixed('deltas', partition)))
      .then(() => confirmed.add(partition))
      .catch(() => {
        // Moved, or the connection ended.
        asked.delete(partition);
        this.retry();
      });
  }

  private open(link: Link): Subscription {
    const connection = Connection.open(link.master.endpoint, this.settings);
    const subscription = { connection, asked: new Set<number>(), confirmed: new Set<number>() };
    this.byLink.set(link, subscription);
    if (this.known.has(link)) this.resubscribed++;
    this.known.add(link);
    const drop = (): void => {
      if (this.byLink.get(link) === subscription) this.drop(link);
    };
    connection.then((opened) => {
      if (this.closed) return opened.close();
      opened.redis.on('smessageBuffer', (channel: Buffer, message: Buffer) => {
        const partition = this.partitionOf.get(channel.toString('latin1'));
        if (partition !== undefined) this.message(partition, message);
      });
      // The server ends subscriptions of slots that leave it; ioredis reports that as an error of its queue.
      opened.redis.on('error', drop);
      opened.redis.on('moved', drop);
      opened.onClose(drop);
    }, drop);
    return subscription;
  }

  private drop(link: Link): void {
    const subscription = this.byLink.get(link);
    if (!subscription) return;
    this.byLink.delete(link);
    subscription.connection.then((opened) => opened.close()).catch(() => undefined);
    this.retry();
  }

  private retry(): void {
    if (this.closed) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.follow();
    }, RETRY_MS);
  }
}

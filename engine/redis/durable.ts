/**
 * Waits until Postgres has committed events. Workers publish how far each partition is persisted (sharded pub/sub); the position in
 * `meta` is also read while somebody waits, so a lost message costs a moment and never an answer.
 *
 * A position of a later epoch proves nothing about an event of an earlier one: recovery may have found it missing. Such a wait
 * ends at once, with the ack it had before.
 */
import type { Pending } from '../batch/batch.js';
import type { CallResult } from '../caller.js';
import type { Keys } from '../keys.js';
import { Connection, type ConnectionSettings } from './connection.js';
import type { Link } from './link.js';
import { textOf } from './nodes.js';

const POLL_MS = 100;
const COMMAND_TIMEOUT_MS = 1_000;

interface Waiter {
  readonly pending: Pending;
  readonly reached: CallResult<unknown>;
}

interface Position {
  readonly epoch: number;
  readonly seq: number;
}

export function parsePosition(text: string): Position | undefined {
  const match = /^(\d+)-(\d+)$/.exec(text);
  return match ? { epoch: Number(match[1]), seq: Number(match[2]) } : undefined;
}

interface Subscription {
  readonly connection: Promise<Connection>;
  readonly channels: Set<string>;
}

export class DurableWaits {
  /** By partition; in the order of their events, but for races of lanes. */
  private readonly waiters = new Map<number, Waiter[]>();
  /** Partitions somebody has waited for: they stay subscribed. */
  private readonly wanted = new Set<number>();
  private readonly subscriptions = new Map<Link, Subscription>();
  private readonly partitionOf = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;
  private lastPoll = 0;
  private closed = false;

  constructor(
    private readonly keys: Keys,
    private readonly settings: ConnectionSettings,
    private readonly linkOf: (partition: number) => Link | undefined,
  ) {}

  /** The call ran; it is settled when Postgres has its event, or at its deadline with the ack it has reached. */
  wait(pending: Pending, reached: CallResult<unknown>): void {
    if (this.closed) return pending.resolve(reached);
    const { partition } = reached;
    const waiter = { pending, reached };
    const waiters = this.waiters.get(partition);
    if (waiters) waiters.push(waiter);
    else this.waiters.set(partition, [waiter]);
    if (!this.wanted.has(partition)) {
      this.wanted.add(partition);
      this.partitionOf.set(this.keys.fixed('persisted', partition), partition);
      this.subscribe(partition);
      // The event may be persisted before the subscription stands.
      void this.poll();
    }
    this.timer ??= setInterval(() => this.tick(), POLL_MS / 5);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    for (const waiters of this.waiters.values()) for (const { pending, reached } of waiters) pending.resolve(reached);
    this.waiters.clear();
    for (const link of [...this.subscriptions.keys()]) this.drop(link);
  }

  private told(partition: number, position: Position): void {
    const waiters = this.waiters.get(partition);
    if (!waiters) return;
    const rest = waiters.filter(({ pending, reached }) => {
      if (position.epoch < reached.epoch || (position.epoch === reached.epoch && position.seq < reached.seq))
        return true;
      pending.resolve(position.epoch === reached.epoch ? { ...reached, ack: 'durable' } : reached);
      return false;
    });
    if (rest.length > 0) this.waiters.set(partition, rest);
    else this.waiters.delete(partition);
  }

  private tick(): void {
    const now = performance.now();
    for (const [partition, waiters] of this.waiters) {
      if (!waiters.some(({ pending }) => pending.deadline <= now)) continue;
      const rest = waiters.filter(({ pending, reached }) => {
        if (pending.deadline > now) return true;
        pending.resolve(reached);
        return false;
      });
      if (rest.length > 0) this.waiters.set(partition, rest);
      else this.waiters.delete(partition);
    }
    if (this.waiters.size === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
    } else if (now - this.lastPoll >= POLL_MS) void this.poll();
  }

  /** Reads the positions of partitions that are waited for, and sees to it that they are subscribed where they now are. */
  private async poll(): Promise<void> {
    this.lastPoll = performance.now();
    const used = new Set([...this.wanted].map((partition) => this.linkOf(partition)));
    for (const link of [...this.subscriptions.keys()]) if (!used.has(link)) this.drop(link);
    const byLink = new Map<Link, number[]>();
    for (const partition of this.waiters.keys()) {
      this.subscribe(partition);
      const link = this.linkOf(partition);
      if (!link) continue;
      const partitions = byLink.get(link);
      if (partitions) partitions.push(partition);
      else byLink.set(link, [partition]);
    }
    await Promise.all(
      [...byLink].map(async ([link, partitions]) => {
        try {
          const connection = await link.controlConnection();
          const commands = partitions.map((partition) => ['HGET', this.keys.fixed('meta', partition), 'persisted']);
          const replies = await connection.all(commands, COMMAND_TIMEOUT_MS);
          for (const [index, reply] of replies.entries()) {
            const position = parsePosition(textOf(reply));
            if (position) this.told(partitions[index]!, position);
          }
        } catch {
          // The node is away: deadlines answer.
        }
      }),
    );
  }

  private subscribe(partition: number): void {
    const link = this.linkOf(partition);
    if (!link || this.closed) return;
    const channel = this.keys.fixed('persisted', partition);
    const { channels, connection } = this.subscriptions.get(link) ?? this.open(link);
    if (channels.has(channel)) return;
    channels.add(channel);
    connection
      .then((opened) => opened.redis.ssubscribe(channel))
      // Moved, or the connection ended: the poll asks again where the partition is.
      .catch(() => channels.delete(channel));
  }

  private open(link: Link): Subscription {
    const connection = Connection.open(link.master.endpoint, this.settings);
    const subscription = { connection, channels: new Set<string>() };
    this.subscriptions.set(link, subscription);
    connection.then(
      (opened) => {
        if (this.closed) return opened.close();
        opened.redis.on('smessage', (channel: string, message: string) => {
          const partition = this.partitionOf.get(channel);
          const position = parsePosition(message);
          if (partition !== undefined && position) this.told(partition, position);
        });
        // The server ends subscriptions of slots that leave it; ioredis reports that as an error of its queue. Begin anew.
        opened.redis.on('error', () => this.drop(link));
        opened.redis.on('moved', () => this.drop(link));
        opened.onClose(() => this.drop(link));
      },
      () => this.drop(link),
    );
    return subscription;
  }

  private drop(link: Link): void {
    const subscription = this.subscriptions.get(link);
    if (!subscription) return;
    this.subscriptions.delete(link);
    subscription.connection.then((opened) => opened.close()).catch(() => undefined);
  }
}

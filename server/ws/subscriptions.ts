/** Items one connection is subscribed to, and what it has not been told of them yet. */
import { LEVEL_COLUMNS, PUSH } from '../../wire/stream.js';
import type { Connection } from './connection.js';
import type { Hub } from './hub.js';
import type { Listener, Topic } from './topics.js';

/** Changes in one push. */
const PUSHED = 2_000;

export class Subscriptions implements Listener {
  /** By their numbers on the connection. */
  private readonly topics = new Map<Topic, number>();
  private readonly dirty = new Set<Topic>();
  private readonly partitions = new Map<number, number>();

  constructor(
    private readonly c: Connection,
    private readonly hub: Hub,
  ) {}

  get size(): number {
    return this.topics.size;
  }

  add(number: number): void {
    const topic = this.hub.topics.join(this.c.refs[number]!, this);
    if (this.topics.has(topic)) return;
    this.topics.set(topic, number);
    this.partitions.set(topic.partition, (this.partitions.get(topic.partition) ?? 0) + 1);
    this.hub.listening.add(this.c);
    if (topic.columns !== undefined) this.changed(topic);
  }

  remove(number: number): void {
    for (const [topic, known] of this.topics) if (known === number) this.leave(topic);
    if (this.topics.size === 0) this.hub.listening.delete(this.c);
  }

  private leave(topic: Topic): void {
    this.topics.delete(topic);
    this.dirty.delete(topic);
    const left = (this.partitions.get(topic.partition) ?? 1) - 1;
    if (left === 0) this.partitions.delete(topic.partition);
    else this.partitions.set(topic.partition, left);
    this.hub.topics.leave(topic, this);
  }

  changed(topic: Topic): void {
    this.dirty.add(topic);
    this.hub.news(this.c);
  }

  /**
   * Pushes the newest of what has changed, and how old it is. False while the client is slow to read: what changes meanwhile
   * replaces what waits, so that a client that catches up gets the newest counts once.
   */
  tell(): boolean {
    if (this.c.closed) return true;
    if (this.c.backlog > this.hub.limits.pauseBytes) {
      this.hub.counts.paused++;
      return false;
    }
    while (this.dirty.size > 0) this.push();
    this.vouch();
    return true;
  }

  private push(): void {
    const count = Math.min(this.dirty.size, PUSHED);
    const writer = this.c.begin(2);
    writer.number(PUSH.changes);
    writer.array(count * (1 + LEVEL_COLUMNS));
    let left = count;
    for (const topic of this.dirty) {
      if (left-- === 0) break;
      this.dirty.delete(topic);
      writer.number(this.topics.get(topic)!);
      writer.raw(topic.columns!);
    }
    this.hub.counts.changes += count;
  }

  private vouch(): void {
    if (this.topics.size === 0) return;
    const { common, unusual } = this.hub.staleness(this.partitions.keys());
    const writer = this.c.begin(3);
    writer.number(PUSH.vouch);
    writer.number(common);
    writer.array(unusual.length);
    for (const value of unusual) {
      if (value === Infinity) writer.nil();
      else writer.number(value);
    }
  }

  clear(): void {
    for (const topic of [...this.topics.keys()]) this.leave(topic);
    this.hub.listening.delete(this.c);
  }
}

/**
 * Items that somebody is subscribed to, each followed once for the whole process. A change is encoded once, however many listen.
 */
import type { NearCache } from '../../engine/index.js';
import type { Partitions } from '../../engine/partitions.js';
import { FrameWriter } from './write.js';

export interface Listener {
  /** The topic has new counts; only the newest will be asked for. */
  changed(topic: Topic): void;
}

const scratch = new FrameWriter();

export class Topic {
  readonly listeners = new Set<Listener>();
  followed: { stop(): void } | undefined;
  /** The five columns of the newest counts; undefined until they are known. */
  columns: Buffer | undefined;

  constructor(
    readonly ref: string,
    readonly partition: number,
  ) {}

  told(level: Counts | undefined): void {
    const from = scratch.length;
    writeLevel(scratch, level);
    this.columns = scratch.since(from);
    scratch.finish();
    for (const listener of this.listeners) listener.changed(this);
  }
}

interface Counts {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
  readonly updatedAt: number;
}

/** `available, reserved, sold, version, updatedAt` */
export function writeLevel(writer: FrameWriter, level: Counts | undefined): void {
  if (level === undefined) {
    writer.nil();
    for (let zeros = 0; zeros < 4; zeros++) writer.number(0);
    return;
  }
  writer.number(level.available);
  writer.number(level.reserved);
  writer.number(level.sold);
  writer.number(level.version);
  writer.number(level.updatedAt);
}

export class Topics {
  private readonly topics = new Map<string, Topic>();

  constructor(
    private readonly cache: NearCache,
    private readonly partitions: Partitions,
  ) {}

  get size(): number {
    return this.topics.size;
  }

  join(ref: string, listener: Listener): Topic {
    let topic = this.topics.get(ref);
    if (topic === undefined) {
      const made = (topic = new Topic(ref, this.partitions.of(ref)));
      this.topics.set(ref, made);
      made.listeners.add(listener);
      made.followed = this.cache.follow(ref, (entry) => made.told(entry.exists ? entry : undefined));
      return made;
    }
    topic.listeners.add(listener);
    if (topic.columns !== undefined) listener.changed(topic);
    return topic;
  }

  leave(topic: Topic, listener: Listener): void {
    topic.listeners.delete(listener);
    if (topic.listeners.size > 0) return;
    topic.followed?.stop();
    this.topics.delete(topic.ref);
  }

  vouchedAt(partition: number): number {
    return this.cache.vouchedAt(partition);
  }
}

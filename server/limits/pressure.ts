/**
 * Looks at the partitions and their nodes several times a second and closes what is too full: the log of a partition, the
 * memory of a node, the wait for Postgres. While Postgres is away selling goes on until the log reaches its limit. Opens by itself.
 */
import type { Logger } from 'pino';
import type { NodeMemory, PartitionsApi, PartitionStatus } from '../../engine/types.js';
import type { Gate, Limit } from './gate.js';
import { LoopDelay } from './loop.js';
import { type Level, levelOf, type Marks, marksFrom, marksInPercent } from './marks.js';

/** Between two looks. At 30,000 changes a second a log gets 7,500 longer meanwhile. */
const LOOK_MS = 250;

export interface PressureLimits {
  /** Changes of one partition that Postgres does not have yet; 0: no limit. */
  readonly logEvents: number;
  /** Percent of `maxmemory` of a node; 0: no limit. A node without `maxmemory` is never full. */
  readonly memoryPercent: number;
  /** Seconds for which a partition's oldest change may wait for Postgres; 0: no limit. */
  readonly persistSeconds: number;
  /** Milliseconds by which the event loop may run late; 0: no limit. */
  readonly loopDelayMs: number;
}

/** A log entry takes 60 to 250 bytes: this many events of one partition are some 100 MB. */
export const PRESSURE_LIMITS: PressureLimits = {
  logEvents: 1_000_000,
  memoryPercent: 85,
  persistSeconds: 1_800,
  loopDelayMs: 1_000,
};

export interface PressureOptions {
  readonly partitions: Pick<PartitionsApi, 'status' | 'memory'>;
  readonly gate: Gate;
  readonly limits: PressureLimits;
  /** Somebody persists the log. Without, it is the memory alone that bounds it. */
  readonly persisted: boolean;
  readonly log: Logger;
}

const SAID: Readonly<Record<Level, string>> = {
  0: 'admission is open again',
  1: 'admission is closed to new holds',
  2: 'admission is closed to all changes but confirm, release and return',
};

export class Pressure {
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  readonly loop: LoopDelay;
  /** By partition: a number of the log and when it was the last, until Postgres has it. */
  private readonly awaited = new Map<number, { seq: number; since: number }>();
  private readonly marks: Readonly<Record<Exclude<Limit, 'event_loop'>, Marks | undefined>>;

  constructor(private readonly options: PressureOptions) {
    const { limits, gate, log } = options;
    this.marks = {
      log: limits.logEvents > 0 ? marksFrom(limits.logEvents) : undefined,
      memory: limits.memoryPercent > 0 ? marksInPercent(limits.memoryPercent) : undefined,
      persist_age: limits.persistSeconds > 0 ? marksFrom(limits.persistSeconds * 1_000) : undefined,
    };
    const loopMarks = limits.loopDelayMs > 0 ? marksFrom(limits.loopDelayMs) : undefined;
    this.loop = new LoopDelay(gate, loopMarks, (from, to, ms) =>
      log[to > from ? 'warn' : 'info']({ limit: 'event_loop', lateMs: Math.round(ms) }, SAID[to as Level]),
    );
  }

  start(): void {
    const tick = (): void => {
      void this.look().finally(() => {
        if (!this.closed) this.timer = setTimeout(tick, LOOK_MS).unref();
      });
    };
    tick();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.loop.close();
  }

  /** Never rejects. What cannot be reached keeps its level: it answers for itself meanwhile. */
  async look(): Promise<void> {
    const { partitions } = this.options;
    const [statuses, nodes] = await Promise.all([
      partitions.status().catch(() => []),
      partitions.memory().catch(() => []),
    ]);
    if (this.closed) return;
    if (this.options.persisted) this.judgeLogs(statuses, Date.now());
    this.judgeMemory(nodes);
  }

  private judgeLogs(statuses: readonly PartitionStatus[], now: number): void {
    const depths = new Map<number, number>();
    const ages = new Map<number, number>();
    for (const { partition, seq, persisted, logLength } of statuses) {
      // What was persisted and could not be trimmed takes room as well.
      depths.set(partition, Math.max(seq - persisted.seq || 0, logLength));
      ages.set(partition, this.ageOf(partition, seq, persisted.seq, now));
    }
    this.judge('log', depths);
    this.judge('persist_age', ages);
  }

  /**
   * For how long a change has waited that Postgres does not have: one is watched at a time, so the oldest is found within as long
   * as the one before took.
   */
  private ageOf(partition: number, seq: number, persisted: number, now: number): number {
    const awaited = this.awaited.get(partition);
    if (seq <= persisted) {
      this.awaited.delete(partition);
      return 0;
    }
    // A number beyond the log belongs to a history that was lost.
    if (awaited === undefined || awaited.seq <= persisted || awaited.seq > seq) {
      this.awaited.set(partition, { seq, since: now });
      return 0;
    }
    return now - awaited.since;
  }

  private judgeMemory(nodes: readonly NodeMemory[]): void {
    const percent = new Map<number, number>();
    for (const { partitions, used, limit } of nodes)
      for (const partition of partitions) percent.set(partition, limit === 0 ? 0 : (100 * used) / limit);
    this.judge('memory', percent);
  }

  /** One line in the log for all partitions that changed alike. */
  private judge(limit: Exclude<Limit, 'event_loop'>, values: ReadonlyMap<number, number>): void {
    const marks = this.marks[limit];
    if (marks === undefined) return;
    const { gate, log } = this.options;
    const changed = new Map<string, { from: Level; to: Level; partitions: number[]; most: number }>();
    let most = 0;
    for (const [partition, value] of values) {
      most = Math.max(most, value);
      const before = gate.level(limit, partition);
      const level = levelOf(value, before, marks);
      if (level === before) continue;
      gate.set(limit, partition, level);
      const key = `${before}${level}`;
      const same = changed.get(key) ?? { from: before, to: level, partitions: [], most: 0 };
      same.partitions.push(partition);
      same.most = Math.max(same.most, value);
      changed.set(key, same);
    }
    if (values.size > 0) gate.fill[limit] = most / marks.holds;
    for (const { from, to, partitions, most: value } of changed.values())
      log[to > from ? 'warn' : 'info'](
        { limit, partitions, value: Math.round(value), closesAt: marks.holds },
        SAID[to],
      );
  }
}

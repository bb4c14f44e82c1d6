/** What all connections of a process share. */
import type { Logger } from 'pino';
import type { SoldOut } from '../../engine/cache/sold-out.js';
import type { NearCache } from '../../engine/index.js';
import type { Partitions } from '../../engine/partitions.js';
import type { Engine } from '../../engine/types.js';
import type { Authenticator } from '../auth/authenticate.js';
import { problemOf } from '../http/failures.js';
import { problem, type Problem } from '../http/problems.js';
import { QuietLog } from '../http/quiet-log.js';
import type { Gate } from '../limits/gate.js';
import type { Database } from '../sql/database.js';
import type { Connection } from './connection.js';
import type { StreamLimits } from './limits.js';
import { OPERATIONS } from './operations.js';
import { Topics } from './topics.js';
import { FrameWriter } from './write.js';

export interface StreamServices {
  readonly engine: Engine;
  readonly cache: NearCache;
  readonly soldOut: SoldOut;
  readonly gate: Gate;
  readonly database: Database | undefined;
  readonly auth: Authenticator;
  readonly partitions: Partitions;
  readonly publicReads: boolean;
  readonly log: Logger;
  readonly limits: StreamLimits;
  /** Counts an error answer. */
  readonly refused: (code: string) => void;
}

/** Buffers kept for answers; those that have grown beyond this are let go. */
const POOLED = 64;
const POOLED_BYTES = 512 * 1024;
/** Between two rounds of news lies so many times what the last one took (sending it takes about as long again), */
const PAUSES = 8;
/** but never more than this. */
const MOST_PAUSE_MS = 50;
/** Partitions that are staler than this are told one by one, so that they do not spoil what is said of the others. */
const UNUSUAL_MS = 1_000;

export class Hub {
  readonly limits: StreamLimits;
  readonly partitions: Partitions;
  readonly topics: Topics;
  readonly connections = new Set<Connection>();
  /** Connections with subscriptions. */
  readonly listening = new Set<Connection>();
  readonly counts = { requests: 0, framesIn: 0, framesOut: 0, changes: 0, paused: 0 };
  inFlight = 0;
  private readonly pool: FrameWriter[] = [];
  private toFlush: Connection[] = [];
  private readonly withNews = new Set<Connection>();
  private newsTimer: NodeJS.Timeout | undefined;
  private newsDue = false;
  /** What the last round of news took. */
  private tellingMs = 0;
  private toldAt = 0;
  private readonly quiet: QuietLog;
  private readonly timer: NodeJS.Timeout;

  constructor(readonly services: StreamServices) {
    this.limits = services.limits;
    this.partitions = services.partitions;
    this.topics = new Topics(services.cache, services.partitions);
    this.quiet = new QuietLog(services.log);
    this.timer = setInterval(() => this.tick(), this.limits.vouchMs);
  }

  perform(c: Connection, op: number, id: number, request: unknown[]): void {
    const operation = OPERATIONS[op];
    if (operation === undefined) throw problem('invalid_request', `there is no operation ${op}`);
    operation(this, c, id, request);
  }

  refused(code: string): void {
    this.services.refused(code);
  }

  explain(error: unknown): Problem {
    const found = problemOf(error, 'id') ?? problem('internal_error');
    const { code, http } = found.kind;
    if (http === 500) this.services.log.error({ err: error, route: 'stream' }, 'request failed');
    else if (http > 500) this.quiet.warn(code, { code, route: 'stream' }, 'request refused');
    return found;
  }

  // ── frames ──

  borrow(): FrameWriter {
    return this.pool.pop() ?? new FrameWriter();
  }

  giveBack(writer: FrameWriter): void {
    if (this.pool.length < POOLED && writer.capacity <= POOLED_BYTES) this.pool.push(writer);
  }

  /** The connection has something to send when this turn of the event loop is over. */
  schedule(c: Connection): void {
    if (this.toFlush.length === 0) setImmediate(this.flushAll);
    this.toFlush.push(c);
  }

  private readonly flushAll = (): void => {
    const connections = this.toFlush;
    this.toFlush = [];
    for (const c of connections) c.flush();
  };

  // ── news ──

  /**
   * The first change after a pause leaves with this turn of the event loop; then one push every `tickMs`, with the newest of each
   * item. Where there is much to push to many, the pause grows: telling news leaves most of the time to everything else.
   */
  news(c: Connection): void {
    this.withNews.add(c);
    if (this.newsDue) return;
    this.newsDue = true;
    const pause = Math.max(this.limits.tickMs, Math.min(MOST_PAUSE_MS, this.tellingMs * PAUSES));
    const wait = this.toldAt + pause - performance.now();
    // A timer is never earlier than the next millisecond.
    if (wait <= 0) setImmediate(this.tellAll);
    else this.newsTimer = setTimeout(this.tellAll, wait);
  }

  private readonly tellAll = (): void => {
    this.newsDue = false;
    const startedAt = performance.now();
    this.toldAt = startedAt;
    for (const c of [...this.withNews]) {
      this.withNews.delete(c);
      // A slow client is asked again with the next tick.
      if (!c.subscriptions.tell()) this.news(c);
    }
    this.tellingMs = performance.now() - startedAt;
  };

  /** How old what these partitions' subscribers were told may be: one number for most, `[partition, ms, …]` for the others. */
  staleness(partitions: Iterable<number>): { common: number; unusual: number[] } {
    const now = performance.now();
    let common = 0;
    const unusual: number[] = [];
    for (const partition of partitions) {
      const ms = Math.ceil(Math.max(0, now - this.topics.vouchedAt(partition)));
      if (ms > UNUSUAL_MS) unusual.push(partition, ms);
      else if (ms > common) common = ms;
    }
    return { common, unusual };
  }

  private tick(): void {
    const now = performance.now();
    for (const c of [...this.connections]) c.check(now);
    if (now - this.toldAt < this.limits.vouchMs / 2) return;
    for (const c of [...this.listening]) if (!this.withNews.has(c)) c.subscriptions.tell();
  }

  close(): void {
    clearInterval(this.timer);
    clearTimeout(this.newsTimer);
  }
}

import type pg from 'pg';
import type { LogEvent, PartitionsApi } from '../../engine/types.js';
import { endStalled } from '../db/drain-lock.js';
import { KIND } from '../kinds.js';
import type { Position } from './check.js';
import { Doubts } from './doubts.js';
import type { DrainerOptions } from './drain.js';
import {
  isAway,
  isContention,
  isLocked,
  isRefusedData,
  isTransient,
  partitionsNamed,
  PartitionHalted,
} from './errors.js';
import { BatchRefused, persistAll, readPositions } from './persist.js';
import type { Run } from './run.js';
import { Stalls } from './stalls.js';
import { Turns } from './turns.js';

/** A log that is not read by then is left for the next transaction: one slow node does not hold up the others' events. */
const READ_MS = 50;
/** From one transaction of many events to the next, where the first has not taken as long already. */
const LINGER_MS = 40;
/** Rest after a transaction: a lone order waits no longer for its `durable`. */
const LEAST_REST_MS = 8;
/** Events for which the next transaction waits one more millisecond. */
const EVENTS_A_LINGER_MS = 10;

/**
 * How often Redis is told how far a partition is persisted, which trims its log: who waits for `durable` hears of every transaction
 * by a message, which costs Redis and this process a tenth of the script call.
 */
const MARK_MS = 250;

/** Rest where Postgres is away: longer, and what is sold waits for its `durable` once it is back; shorter, and it is asked in vain. */
const AWAY_MS = 1_000;

type Ready = Run & { position: Position; events: readonly LogEvent[] };

/**
 * Persists what runs find in the logs of their partitions, one transaction for all of them after the other. While one is under way
 * and during the rest after it, events of the next one gather: under load transactions get larger, not more.
 */
export class Lane {
  private readonly runs = new Set<Run>();
  private turning = false;
  private awayUntil = 0;
  private readonly partitions: PartitionsApi;
  private readonly doubts: Doubts;
  private readonly turns: Turns;
  private readonly stalls: Stalls;

  constructor(private readonly options: DrainerOptions) {
    this.partitions = options.partitions;
    this.doubts = new Doubts(options);
    this.turns = new Turns(options.transactionEvents);
    this.stalls = new Stalls(options.stallMs);
  }

  /** Postgres was away a moment ago: what would be drained now would fail. */
  get rests(): boolean {
    return Date.now() < this.awayUntil;
  }

  add(run: Run): void {
    this.runs.add(run);
    if (!this.turning) void this.turn();
  }

  private async turn(): Promise<void> {
    this.turning = true;
    while (this.runs.size > 0) {
      const rest = await this.round().catch((error: unknown) => {
        if (isAway(error)) this.awayUntil = Date.now() + AWAY_MS;
        for (const run of this.runs) run.fail(error);
        return 0;
      });
      for (const run of this.runs) this.look(run);
      if (this.runs.size > 0 && rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
    }
    this.turning = false;
  }

  /** Tells Redis where it is time, and lets go of a run that is over. */
  private look(run: Run): void {
    const ending = run.ending;
    if (run.unmarked && !run.over && (ending || Date.now() - run.markedAt >= MARK_MS)) this.mark(run);
    if (ending && !run.unmarked && !run.marking) run.end(ending);
    if (run.over) this.runs.delete(run);
  }

  /** @returns how long to rest, ms */
  private async round(): Promise<number> {
    const started = performance.now();
    await this.locate();
    await this.read();
    const ready: Ready[] = [];
    for (const run of this.runs) {
      if (run.over || run.events === undefined) continue;
      if (run.events.length > 0) ready.push(run as Ready);
      else this.doubts.empty(run);
    }
    if (ready.length === 0) return LEAST_REST_MS;
    const suspects = ready.filter((run) => run.suspect);
    const chosen = this.turns.choose(ready.filter((run) => !run.suspect));
    const more = this.turns.more || suspects.some((run) => run.events.length >= run.asked);
    const events = eventsOf(chosen) + eventsOf(suspects);
    await this.persist(chosen, suspects);
    // There is more to drain: no rest.
    if (more) return 0;
    const linger = Math.min(this.options.lingerMs ?? LINGER_MS, events / EVENTS_A_LINGER_MS);
    return Math.max(LEAST_REST_MS, linger - (performance.now() - started));
  }

  private async persist(chosen: readonly Ready[], suspects: readonly Ready[]): Promise<void> {
    const client = await this.options.pool.connect();
    let broken: Error | undefined;
    try {
      await this.together(client, chosen);
      for (const run of suspects) await this.alone(client, run);
      this.turns.done();
    } catch (error) {
      broken = error as Error;
      const events = this.turns.failed();
      if (events > 0)
        this.options.log.warn(
          { err: error, events, next: this.turns.limit },
          'a transaction failed: the next is smaller',
        );
      throw error;
    } finally {
      client.release(broken);
    }
  }

  /** Reads the positions that are not known. */
  private async locate(): Promise<void> {
    const lost = [...this.runs].filter((run) => !run.position && !run.over);
    if (lost.length === 0) return;
    const positions = await readPositions(
      this.options.pool,
      lost.map(({ partition }) => partition),
    );
    for (const run of lost) run.position = positions.get(run.partition);
  }

  /** Reads the logs behind the positions, and waits a little for the slow ones. */
  private async read(): Promise<void> {
    const wanting = [...this.runs].filter((run) => run.position && !run.events && !run.busy && !run.over);
    for (const run of wanting) run.asked = Math.min(run.limit, this.turns.share);
    const answers = this.partitions.readLogs(
      wanting.map(({ partition, position, asked }) => ({ partition, after: position!, maxEvents: asked })),
    );
    const reads = answers.map(async (answer, index) => {
      const run = wanting[index]!;
      run.busy = true;
      try {
        run.events = await answer;
        run.busy = false;
      } catch (error) {
        run.busy = false;
        if (isRefused(error)) this.doubts.refused(run, error as Error);
        else run.fail(error);
      }
    });
    // What lies ready fills a transaction already: the others are read while it is under way.
    if (reads.length === 0 || this.waiting >= this.turns.limit) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, READ_MS)));
    await Promise.race([Promise.all(reads), late]);
    clearTimeout(timer);
  }

  /** Events that are read and not persisted yet. */
  private get waiting(): number {
    let events = 0;
    for (const run of this.runs) if (!run.over && run.events) events += run.events.length;
    return events;
  }

  /** One transaction for all these; whoever stands in its way is left out, and it is tried again without them. */
  private async together(client: pg.PoolClient, ready: readonly Ready[]): Promise<void> {
    let runs = ready;
    while (runs.length > 0) {
      try {
        return await this.commit(client, runs);
      } catch (error) {
        if (isContention(error)) {
          const named = new Set(partitionsNamed(error));
          const away = runs.filter((run) => named.has(run.partition));
          if (away.length === 0) throw error;
          await this.contended(client, away, isLocked(error));
          runs = runs.filter((run) => !away.includes(run));
        } else if (error instanceof BatchRefused) {
          this.doubts.refused(
            runs.find((run) => run.partition === error.partition)!,
            error.cause,
          );
          runs = runs.filter((run) => run.partition !== error.partition);
        } else if (isRefused(error)) {
          // It does not say whose rows these were: each by itself.
          for (const run of runs) await this.alone(client, run);
          return;
        } else throw error;
      }
    }
  }

  private async alone(client: pg.PoolClient, run: Ready): Promise<void> {
    try {
      await this.commit(client, [run]);
    } catch (error) {
      if (isContention(error)) return this.contended(client, [run], isLocked(error));
      const cause = error instanceof BatchRefused ? error.cause : error;
      if (!isRefused(cause)) throw error;
      this.doubts.refused(run, cause as Error);
    }
  }

  /** Somebody else has the partitions, or has moved them on. */
  private async contended(client: pg.PoolClient, runs: readonly Ready[], locked: boolean): Promise<void> {
    for (const run of runs) {
      if (locked) this.stalls.refused(run.partition, run.position.seq);
      run.contended();
    }
    const due = this.stalls.due();
    if (due.length === 0) return;
    const { log } = this.options;
    try {
      const ended = await endStalled(client, due, this.stalls.stallMs);
      if (ended > 0)
        log.warn({ partitions: due, ended }, 'sessions whose client stood still kept these partitions: ended');
    } catch (error) {
      // Whoever may not end them can still persist the other partitions.
      log.warn({ err: error, partitions: due }, 'sessions that keep these partitions could not be ended');
    }
  }

  private async commit(client: pg.PoolClient, runs: readonly Ready[]): Promise<void> {
    const { metrics, halts } = this.options;
    const events = eventsOf(runs);
    const started = performance.now();
    this.turns.sending(events);
    const positions = await persistAll(client, runs);
    const took = performance.now() - started;
    this.turns.committed(took);
    metrics.commitSeconds.observe(took / 1_000);
    metrics.batchSize.observe(events);
    metrics.events.inc(events);
    metrics.batches.inc();
    for (const run of runs) this.countReversals(run.partition, run.events);
    void this.partitions.publishPersisted(positions);
    for (const [index, run] of runs.entries()) {
      (run as Run).persisted(positions[index]!);
      this.stalls.persisted(run.partition);
      await halts.resumed(run.partition);
    }
  }

  private countReversals(partition: number, events: readonly LogEvent[]): void {
    const count = events.reduce((sum, { kind }) => (kind === KIND.reversed ? sum + 1 : sum), 0);
    if (count === 0) return;
    this.options.metrics.reversals.inc(count);
    this.options.log.warn({ partition, count }, 'answers were taken back; they stand in table reversals');
  }

  /** Tells Redis how far the partition is persisted, which trims the log; the lane goes on meanwhile. */
  private mark(run: Run): void {
    if (run.marking) return;
    const { epoch, seq } = run.position!;
    run.markedAt = Date.now();
    run.marking = this.partitions
      .markPersisted(run.partition, { epoch, seq })
      .then(
        () => void (run.marked = seq),
        (error: unknown) => run.fail(error),
      )
      .finally(() => (run.marking = undefined));
  }
}

function eventsOf(runs: readonly Ready[]): number {
  return runs.reduce((sum, run) => sum + run.events.length, 0);
}

/** Refused by what is in it, not by circumstances: trying again will not help. */
function isRefused(error: unknown): boolean {
  return error instanceof PartitionHalted || isRefusedData(error) || !isTransient(error);
}

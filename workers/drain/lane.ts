import type pg from 'pg';
import type { LogEvent, PartitionsApi, PartitionStatus } from '../../engine/types.js';
import { KIND } from '../kinds.js';
import type { Position } from './check.js';
import type { DrainerOptions } from './drain.js';
import { isContention, isRefusedData, isTransient, partitionsNamed, PartitionHalted, StaleHistory } from './errors.js';
import { BatchRefused, persistAll, readPosition, readPositions } from './persist.js';
import type { Run } from './run.js';

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

type Ready = Run & { position: Position; events: readonly LogEvent[] };

/**
 * Persists what runs find in the logs of their partitions, one transaction for all of them after the other. While one is under way
 * and during the rest after it, events of the next one gather: under load transactions get larger, not more.
 */
export class Lane {
  private readonly runs = new Set<Run>();
  private turning = false;
  private readonly partitions: PartitionsApi;

  constructor(private readonly options: DrainerOptions) {
    this.partitions = options.partitions;
  }

  add(run: Run): void {
    this.runs.add(run);
    if (!this.turning) void this.turn();
  }

  private async turn(): Promise<void> {
    this.turning = true;
    while (this.runs.size > 0) {
      const rest = await this.round().catch((error: unknown) => {
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
    const ready = [...this.runs].filter(
      (run): run is Ready => !run.over && run.events !== undefined && run.events.length > 0,
    );
    await this.settle([...this.runs].filter((run) => !run.over && run.events?.length === 0));
    if (ready.length === 0) return LEAST_REST_MS;
    const full = ready.some((run) => run.events.length >= run.limit);
    const events = ready.reduce((sum, run) => sum + run.events.length, 0);
    const client = await this.options.pool.connect();
    let broken: Error | undefined;
    try {
      await this.together(
        client,
        ready.filter((run) => !run.suspect),
      );
      for (const run of ready) if (run.suspect && !run.over) await this.alone(client, run);
    } catch (error) {
      broken = error as Error;
      throw error;
    } finally {
      client.release(broken);
    }
    if (full) return 0;
    const linger = Math.min(this.options.lingerMs ?? LINGER_MS, events / EVENTS_A_LINGER_MS);
    return Math.max(LEAST_REST_MS, linger - (performance.now() - started));
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
    const wanting = [...this.runs].filter((run) => run.position && !run.events && !run.reading && !run.over);
    const answers = this.partitions.readLogs(
      wanting.map(({ partition, position, limit }) => ({ partition, after: position!, maxEvents: limit })),
    );
    const reads = answers.map(async (answer, index) => {
      const run = wanting[index]!;
      run.reading = true;
      try {
        run.events = await answer;
      } catch (error) {
        if (isRefused(error))
          await this.refused(this.options.pool, run, error as Error).catch((why: unknown) => run.fail(why));
        else run.fail(error);
      } finally {
        run.reading = false;
      }
    });
    if (reads.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, READ_MS)));
    await Promise.race([Promise.all(reads), late]);
    clearTimeout(timer);
  }

  /** One transaction for all runs; whoever stands in its way is left out, and it is tried again without them. */
  private async together(client: pg.PoolClient, ready: readonly Ready[]): Promise<void> {
    let runs = ready;
    while (runs.length > 0) {
      try {
        return await this.commit(client, runs);
      } catch (error) {
        if (isContention(error)) {
          const away = new Set(partitionsNamed(error));
          for (const run of runs) if (away.has(run.partition)) run.contended();
          runs = runs.filter((run) => !away.has(run.partition));
        } else if (error instanceof BatchRefused) {
          await this.refused(
            client,
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
      if (isContention(error)) return run.contended();
      const cause = error instanceof BatchRefused ? error.cause : error;
      if (!isRefused(cause)) throw error;
      await this.refused(client, run, cause as Error);
    }
  }

  private async commit(client: pg.PoolClient, runs: readonly Ready[]): Promise<void> {
    const { metrics, halts } = this.options;
    const started = performance.now();
    const positions = await persistAll(client, runs);
    metrics.commitSeconds.observe((performance.now() - started) / 1_000);
    const events = runs.reduce((sum, run) => sum + run.events.length, 0);
    metrics.batchSize.observe(events);
    metrics.events.inc(events);
    metrics.batches.inc();
    for (const run of runs) this.countReversals(run.partition, run.events);
    void this.partitions.publishPersisted(positions);
    for (const [index, run] of runs.entries()) {
      (run as Run).persisted(positions[index]!);
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

  /**
   * A batch was refused. Persists what can be, in smaller steps, and halts at the entry that cannot: but only where the log is the one
   * of an open partition. Between a failover and its recovery the log may be one that never happened; recovery decides. (FAULTS 4)
   */
  private async refused(client: pg.Pool | pg.PoolClient, run: Run, error: Error): Promise<void> {
    const before = run.position;
    run.events = undefined;
    run.position = await readPosition(client, run.partition);
    if (error instanceof StaleHistory) return run.end('fenced');
    // Somebody else has drained (and trimmed) meanwhile: then the log only looked as if it had a gap.
    if (!before || before.seq !== run.position.seq || before.fence !== run.position.fence) return;
    run.suspect = true;
    const seen = run.seen;
    run.seen = await this.statusOf(run.partition);
    if (!isOpen(run.seen, run.position)) return run.end('fenced');
    // What was refused must have been read while it was as it is now: only then it is what will be read again and again.
    if (run.shrink() || !isSameLife(seen, run.seen)) return;
    await this.options.halts.halt(run.position, error.message);
    run.end('halted');
  }

  private async statusOf(partition: number): Promise<PartitionStatus | undefined> {
    return (await this.partitions.status()).find((status) => status.partition === partition);
  }

  /**
   * Nothing to drain. Where somebody thought so: a worker died between commit and trim (then the trim is made up for), or the log
   * was trimmed past what is persisted (then the partition halts).
   */
  private async settle(runs: readonly Run[]): Promise<void> {
    for (const run of runs) run.events = undefined;
    const unsettled = runs.filter((run) => !run.settled);
    if (unsettled.length === 0) return;
    const statuses = new Map((await this.partitions.status()).map((status) => [status.partition, status]));
    const positions = await readPositions(
      this.options.pool,
      unsettled.map(({ partition }) => partition),
    );
    for (const run of unsettled) {
      const position = positions.get(run.partition)!;
      const status = statuses.get(run.partition);
      run.settled = true;
      run.position = position;
      const open = isOpen(status, position);
      run.marked = open ? status.persisted.seq : position.seq;
      if (open && status.seq > position.seq)
        await this.lookForGap(run, status, position).catch((error: unknown) => run.fail(error));
    }
  }

  private async lookForGap(run: Run, status: PartitionStatus, position: Position): Promise<void> {
    const { partition } = run;
    const events = await this.partitions.readLog(partition, position, 1);
    const again = await readPosition(this.options.pool, partition);
    run.position = again;
    if (events.length > 0 || again.seq !== position.seq || again.fence !== position.fence) return;
    if (!isSameLife(status, await this.statusOf(partition))) return;
    await this.options.halts.halt(position, `events ${position.seq + 1} to ${status.seq} are missing from the log`);
    run.end('halted');
  }
}

/** Refused by what is in it, not by circumstances: trying again will not help. */
function isRefused(error: unknown): boolean {
  return error instanceof PartitionHalted || isRefusedData(error) || !isTransient(error);
}

/** Recovery has been here: the partition is open, and not under an epoch older than the newest announced. */
function isOpen(status: PartitionStatus | undefined, position: Position): status is PartitionStatus {
  return status !== undefined && status.open && status.epoch >= position.fence;
}

function isSameLife(one: PartitionStatus | undefined, other: PartitionStatus | undefined): boolean {
  return (
    one !== undefined &&
    other !== undefined &&
    one.open &&
    other.open &&
    one.node === other.node &&
    one.epoch === other.epoch
  );
}

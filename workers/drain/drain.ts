import type { Logger } from 'pino';
import type pg from 'pg';
import type { LogEvent, PartitionsApi } from '../../engine/types.js';
import { KIND } from '../kinds.js';
import type { WorkerMetrics } from '../metrics.js';
import type { Position } from './check.js';
import { isContention, isRefusedData, isTransient, PartitionHalted, StaleHistory } from './errors.js';
import type { Halts } from './halts.js';
import { persist, readPosition } from './persist.js';

/** Why a drain ended. `fenced`: what was read is the log of a master that was cut off. */
export type DrainEnd = 'empty' | 'busy' | 'halted' | 'fenced' | 'time';

export interface DrainerOptions {
  readonly partitions: PartitionsApi;
  readonly pool: pg.Pool;
  readonly halts: Halts;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  /** Events a transaction, about; default 5,000. */
  readonly batchEvents?: number;
  /** Rest between two looks at the log, so that the next batch can gather; default 20 ms. */
  readonly lingerMs?: number;
  /** How long a job stays with its partition; default 2,000 ms. */
  readonly jobMs?: number;
}

/** Limits of events a batch when one is refused: at 1 only whole entries of one script call are left to blame. */
const SMALLER = [64, 1];

interface Run {
  readonly partition: number;
  position: Position | undefined;
  limit: number;
  persisted: boolean;
}

type Step = number | 'busy' | 'halted' | 'fenced' | 'again';

/** Moves partitions' logs into Postgres, in order, once. Safe in any number of processes at once. */
export class Drainer {
  private readonly active = new Set<number>();
  private readonly batchEvents: number;
  private readonly lingerMs: number;
  private readonly jobMs: number;

  constructor(private readonly options: DrainerOptions) {
    this.batchEvents = options.batchEvents ?? 5_000;
    this.lingerMs = options.lingerMs ?? 20;
    this.jobMs = options.jobMs ?? 2_000;
  }

  isActive(partition: number): boolean {
    return this.active.has(partition);
  }

  /**
   * Drains until the log is empty, the job's time is over or `signal` says stop. Rejects when Redis or Postgres cannot be reached;
   * whatever happens, what is committed is committed once and what is not is still in the log.
   */
  async drain(partition: number, signal?: AbortSignal): Promise<DrainEnd> {
    if (this.active.has(partition)) return 'busy';
    this.active.add(partition);
    try {
      return await this.run({ partition, position: undefined, limit: this.batchEvents, persisted: false }, signal);
    } finally {
      this.active.delete(partition);
    }
  }

  private async run(run: Run, signal?: AbortSignal): Promise<DrainEnd> {
    const until = Date.now() + this.jobMs;
    let idle = 0;
    for (;;) {
      const step = await this.step(run);
      if (step === 'busy' || step === 'halted' || step === 'fenced') return step;
      if (step === 0) {
        if (idle > 0) return 'empty';
        if (!run.persisted && (await this.settle(run)) === 'halted') return 'halted';
        idle++;
      }
      if (typeof step === 'number' && step > 0) idle = 0;
      if (signal?.aborted || Date.now() >= until) return 'time';
      if (step !== 'again' && step < run.limit) await new Promise((resolve) => setTimeout(resolve, this.lingerMs));
    }
  }

  /** One batch. The connection is taken before the log is read: what arrives while waiting for it makes the batch bigger. */
  private async step(run: Run): Promise<Step> {
    const { pool, partitions, halts, metrics } = this.options;
    const client = await pool.connect();
    let broken: Error | undefined;
    let count: number;
    try {
      run.position ??= await readPosition(client, run.partition);
      const events = await partitions.readLog(run.partition, run.position, run.limit);
      if (events.length === 0) return 0;
      const started = performance.now();
      run.position = await persist(client, run.position, events);
      metrics.commitSeconds.observe((performance.now() - started) / 1_000);
      metrics.batchSize.observe(events.length);
      metrics.events.inc(events.length);
      this.countReversals(run.partition, events);
      metrics.batches.inc();
      count = events.length;
    } catch (error) {
      if (isContention(error)) {
        run.position = undefined;
        return 'busy';
      }
      if (error instanceof StaleHistory) return 'fenced';
      if (!isRefused(error)) {
        broken = error as Error;
        throw error;
      }
      return await this.refused(run, client, error as Error);
    } finally {
      client.release(broken);
    }
    run.persisted = true;
    await halts.resumed(run.partition);
    await partitions.markPersisted(run.partition, { epoch: run.position.epoch, seq: run.position.seq });
    return count;
  }

  private countReversals(partition: number, events: readonly LogEvent[]): void {
    const count = events.reduce((sum, { kind }) => (kind === KIND.reversed ? sum + 1 : sum), 0);
    if (count === 0) return;
    this.options.metrics.reversals.inc(count);
    this.options.log.warn({ partition, count }, 'answers were taken back; they stand in table reversals');
  }

  /** A batch was refused. Persists what can be, in smaller steps, and halts at the entry that cannot. */
  private async refused(run: Run, client: pg.PoolClient, error: Error): Promise<Step> {
    const before = run.position;
    run.position = await readPosition(client, run.partition);
    // Somebody else has drained (and trimmed) meanwhile: then the log only looked as if it had a gap.
    if (!before || before.seq !== run.position.seq || before.fence !== run.position.fence) return 'again';
    const smaller = SMALLER.find((limit) => limit < run.limit);
    if (smaller !== undefined) {
      run.limit = smaller;
      return 'again';
    }
    await this.options.halts.halt(run.position, error.message);
    return 'halted';
  }

  /**
   * Nothing to drain, though somebody thought so: a worker died between commit and trim (then the trim is made up for), or the log
   * was trimmed past what is persisted (then the partition halts).
   */
  private async settle(run: Run): Promise<'halted' | 'settled'> {
    const { partitions, pool } = this.options;
    const { partition } = run;
    const status = (await partitions.status()).find((one) => one.partition === partition);
    const position = await readPosition(pool, partition);
    run.position = position;
    if (!status) return 'settled';
    if (status.open && status.seq > position.seq) {
      const events = await partitions.readLog(partition, position, 1);
      const again = await readPosition(pool, partition);
      if (events.length === 0 && again.seq === position.seq && again.fence === position.fence) {
        const reason = `events ${position.seq + 1} to ${status.seq} are missing from the log`;
        await this.options.halts.halt(position, reason);
        return 'halted';
      }
      run.position = again;
      return 'settled';
    }
    if (position.seq > 0 && status.persisted.seq < position.seq) {
      await partitions.markPersisted(partition, { epoch: position.epoch, seq: position.seq });
    }
    return 'settled';
  }
}

/** Refused by what is in it, not by circumstances: trying again will not help. */
function isRefused(error: unknown): boolean {
  return error instanceof PartitionHalted || isRefusedData(error) || !isTransient(error);
}

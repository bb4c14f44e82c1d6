import type { Logger } from 'pino';
import type pg from 'pg';
import type { PartitionsApi } from '../../engine/types.js';
import type { WorkerMetrics } from '../metrics.js';
import type { Halts } from './halts.js';
import { Lane } from './lane.js';
import { type DrainEnd, Run } from './run.js';

export interface DrainerOptions {
  readonly partitions: PartitionsApi;
  readonly pool: pg.Pool;
  readonly halts: Halts;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  /** Persist transactions at a time; default 1. Each carries the events of all partitions of its lane. */
  readonly lanes?: number;
  /** Events of one partition in a transaction, about; default 5,000. */
  readonly batchEvents?: number;
  /** Events of a transaction over all its partitions, about; default 40,000, fewer for a while after one has failed (turns.ts). */
  readonly transactionEvents?: number;
  /** Longest time from one transaction to the next that it is made to gather events; default 40 ms. */
  readonly lingerMs?: number;
  /** How long a job stays with its partition; default 2,000 ms. */
  readonly jobMs?: number;
  /** How long another session may have a partition without persisting anything of it; default 30,000 ms. */
  readonly stallMs?: number;
}

/**
 * Moves partitions' logs into Postgres, in order, once. Safe in any number of processes at once. Partitions that are being drained
 * at the same time share transactions: what a transaction costs besides its rows is paid once for all of them.
 */
export class Drainer {
  private readonly active = new Map<number, Run>();
  private readonly lanes: Lane[];

  constructor(private readonly options: DrainerOptions) {
    this.lanes = Array.from({ length: options.lanes ?? 1 }, () => new Lane(options));
  }

  isActive(partition: number): boolean {
    return this.active.has(partition);
  }

  /** There is no use in draining it just now, because Postgres is away; it is done all the same. */
  rests(partition: number): boolean {
    return this.laneOf(partition).rests;
  }

  private laneOf(partition: number): Lane {
    return this.lanes[partition % this.lanes.length]!;
  }

  /**
   * Drains until the log is empty, the job's time is over or `signal` says stop. Rejects when Redis or Postgres cannot be reached;
   * whatever happens, what is committed is committed once and what is not is still in the log.
   */
  async drain(partition: number, signal?: AbortSignal): Promise<DrainEnd> {
    if (this.active.has(partition)) return 'busy';
    const run = new Run(partition, {
      batchEvents: this.options.batchEvents ?? 5_000,
      jobMs: this.options.jobMs ?? 2_000,
      signal,
    });
    this.active.set(partition, run);
    try {
      this.laneOf(partition).add(run);
      return await run.ended;
    } finally {
      this.active.delete(partition);
    }
  }
}

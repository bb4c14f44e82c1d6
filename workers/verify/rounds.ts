import type { Logger } from 'pino';
import type pg from 'pg';
import type { PartitionsApi } from '../../engine/types.js';
import type { WorkerMetrics } from '../metrics.js';
import type { ChainHead } from './chain.js';
import { verifyOne } from './verify.js';

export interface RoundsOptions {
  readonly partitions: PartitionsApi;
  readonly pool: pg.Pool;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  /** Between the end of one partition and the next, ms. */
  readonly pauseMs: number;
}

/** Of all workers one verifies at a time: a session's lock in Postgres, which ends with it. */
const VERIFY_LOCK = 1_212_961_610;
/** How long what differs may take to agree. */
const WAIT_MS = 3_000;
/** How often the ledger is read from its beginning; in between only what was added. */
const WHOLE_CHAIN_MS = 86_400_000;
/** Violations told one by one; the metric has their number. */
const TOLD = 10;

/**
 * Verifies all the time, a partition after the other, so that what disagrees is noticed within a round and not when somebody asks.
 * Nothing is repaired: a violation is a defect or damage, and somebody has to look.
 */
export class VerifyRounds {
  private partition: number;
  private readonly heads = new Map<number, ChainHead>();
  /** When the whole chain of a partition was checked. */
  private readonly wholeAt = new Map<number, number>();
  private stopped = false;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly options: RoundsOptions) {
    // Workers that start together do not all begin with the same partition.
    this.partition = Math.floor(Math.random() * options.partitions.count);
  }

  start(): void {
    this.timer = setTimeout(() => {
      this.running = this.next()
        .catch((error: unknown) => this.options.log.warn({ err: error }, 'verifying failed; it is tried again'))
        .finally(() => {
          if (!this.stopped) this.start();
        });
    }, this.options.pauseMs);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  /** The next partition, unless another worker is at one. */
  private async next(): Promise<void> {
    const { pool } = this.options;
    const client = await pool.connect();
    let failed: Error | undefined;
    try {
      const { rows } = await client.query<{ got: boolean }>('SELECT pg_try_advisory_lock($1) AS got', [VERIFY_LOCK]);
      if (!rows[0]!.got) return;
      try {
        const { partition } = this;
        // Also where that fails: what cannot be read is told, and keeps no other partition from being verified.
        this.partition = (partition + 1) % this.options.partitions.count;
        await this.verify(partition);
      } finally {
        await client.query('SELECT pg_advisory_unlock($1)', [VERIFY_LOCK]);
      }
    } catch (error) {
      failed = error as Error;
      throw error;
    } finally {
      // A session that may still hold the lock is not given back.
      client.release(failed);
    }
  }

  private async verify(partition: number): Promise<void> {
    const { partitions, pool, metrics, log } = this.options;
    const { heads, wholeAt } = this;
    const now = Date.now();
    const wholeChain = now - (wholeAt.get(partition) ?? 0) >= WHOLE_CHAIN_MS;
    const found = await verifyOne({ partitions, pool, waitMs: WAIT_MS, heads, wholeChain }, partition);
    if (wholeChain && found !== undefined) wholeAt.set(partition, now);
    metrics.verifications.inc({ outcome: found === undefined ? 'undecided' : 'decided' });
    if (found === undefined) return;
    const count = found.list.length + found.more;
    metrics.violations.set({ partition }, count);
    metrics.verifiedAt.set({ partition }, Date.now() / 1_000);
    for (const { subject, detail } of found.list.slice(0, TOLD))
      log.error({ partition, subject, detail, count }, 'Redis and Postgres disagree');
  }
}

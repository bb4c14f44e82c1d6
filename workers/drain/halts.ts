import type { Logger } from 'pino';
import type pg from 'pg';
import type { WorkerMetrics } from '../metrics.js';
import type { Position } from './check.js';

/** How long a halted partition rests before its log is looked at again: an operator may have repaired it. */
const REST_MS = 15_000;

/**
 * Partitions whose log cannot be persisted. They are kept in `quarantine`, so that every process and every tool sees them, and tried
 * again now and then: once the cause is repaired they go on by themselves. Nothing is ever skipped. (FAULTS 18, 21)
 */
export class Halts {
  private readonly resting = new Map<number, number>();
  private readonly known = new Set<number>();

  constructor(
    private readonly pool: pg.Pool,
    private readonly log: Logger,
    private readonly metrics: WorkerMetrics,
    private readonly restMs = REST_MS,
  ) {}

  /** True while the partition should be left alone. */
  rests(partition: number): boolean {
    return (this.resting.get(partition) ?? 0) > Date.now();
  }

  async halt(position: Position, reason: string): Promise<void> {
    const { partition, epoch, seq } = position;
    this.resting.set(partition, Date.now() + this.restMs);
    this.known.add(partition);
    this.metrics.halted.set({ partition }, 1);
    this.log.error(
      { partition, epoch, seq, reason },
      'partition halted: its log cannot be persisted; nothing is skipped',
    );
    await this.pool.query(
      `INSERT INTO quarantine (partition, epoch, seq, reason) VALUES ($1, $2, $3, $4)
       ON CONFLICT (partition) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, reason = excluded.reason, last_seen = now()`,
      [partition, epoch, seq, reason],
    );
  }

  /** The partition was persisted further: whatever halted it is over. */
  async resumed(partition: number): Promise<void> {
    if (!this.known.has(partition)) return;
    await this.pool.query('DELETE FROM quarantine WHERE partition = $1', [partition]);
    this.known.delete(partition);
    this.resting.delete(partition);
    this.metrics.halted.remove({ partition });
    this.log.warn({ partition }, 'halted partition goes on');
  }

  /** Learns what other processes have found, and forgets what is over. */
  async refresh(): Promise<void> {
    await this.pool.query(
      'DELETE FROM quarantine q USING positions p WHERE p.partition = q.partition AND p.seq > q.seq',
    );
    const { rows } = await this.pool.query<{ partition: number }>('SELECT partition FROM quarantine');
    const halted = new Set(rows.map((row) => row.partition));
    for (const partition of halted) {
      this.known.add(partition);
      this.metrics.halted.set({ partition }, 1);
    }
    for (const partition of this.known) {
      if (halted.has(partition)) continue;
      this.known.delete(partition);
      this.resting.delete(partition);
      this.metrics.halted.remove({ partition });
    }
  }
}

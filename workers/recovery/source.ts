import type pg from 'pg';
import type { PersistedSource, PersistedState } from '../../engine/types.js';
import { takeDrainLock } from '../db/drain-lock.js';
import type { RecoveredElsewhere } from './elsewhere.js';
import { changedSince } from './rows.js';

/** Advisory lock space of recoveries: one process recovers a partition. */
const RECOVERY_LOCK = 1212961605;

/**
 * What is persisted, for recovery. Everything between `exclusively` and its end runs on one connection that holds both locks: no
 * other process recovers the partition, and no batch read from the old master commits in between. Losing the connection loses the
 * locks and fails what is asked of Postgres from then on. What is under way to Redis may still arrive; that is what the token of
 * partition/take is for. (FAULTS 3, 4, 17)
 */
export class PostgresSource implements PersistedSource {
  private readonly sessions = new Map<number, pg.PoolClient>();
  private readonly busy = new Set<number>();

  /** @param elsewhere hears of partitions that other processes recover */
  constructor(
    private readonly pool: pg.Pool,
    private readonly elsewhere?: RecoveredElsewhere,
  ) {}

  async exclusively<T>(partition: number, work: () => Promise<T>): Promise<T | false> {
    // Noted before the first wait: of two that come at once the second must not take the first one's session for its own.
    if (this.busy.has(partition)) return false;
    this.busy.add(partition);
    try {
      return await this.locked(partition, await this.pool.connect(), work);
    } finally {
      this.busy.delete(partition);
    }
  }

  private async locked<T>(partition: number, client: pg.PoolClient, work: () => Promise<T>): Promise<T | false> {
    let failed: Error | undefined;
    this.sessions.set(partition, client);
    try {
      const { rows } = await client.query<{ got: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS got', [
        RECOVERY_LOCK,
        partition,
      ]);
      if (!rows[0]!.got) {
        await this.elsewhere?.refused(client, RECOVERY_LOCK, partition);
        return false;
      }
      this.elsewhere?.had(partition);
      await takeDrainLock(client, partition);
      await client.query('INSERT INTO positions (partition) VALUES ($1) ON CONFLICT DO NOTHING', [partition]);
      return await work();
    } catch (error) {
      failed = error as Error;
      throw error;
    } finally {
      this.sessions.delete(partition);
      if (!failed) {
        await client.query('SELECT pg_advisory_unlock_all()').catch((error: Error) => (failed = error));
        await client.query('RESET lock_timeout').catch((error: Error) => (failed = error));
      }
      // Ending the session gives the locks back, whatever state it is in.
      client.release(failed);
    }
  }

  async position(partition: number): Promise<{ epoch: number; seq: number; announced: number }> {
    const { rows } = await this.client(partition).query<{ epoch: number; seq: number; announced: number }>(
      'SELECT log_epoch AS epoch, seq, epoch AS announced FROM positions WHERE partition = $1',
      [partition],
    );
    return rows[0] ?? { epoch: 0, seq: 0, announced: 0 };
  }

  /** Rejects when the epoch was announced before, or would begin before what is persisted: epochs and numbers only grow. */
  async raiseEpoch(partition: number, epoch: number, seq: number, parent?: number): Promise<void> {
    const { rowCount } = await this.client(partition).query(
      `WITH raised AS (
         INSERT INTO positions AS p (partition, epoch, opened_after) VALUES ($1, $2, $3)
         ON CONFLICT (partition) DO UPDATE SET epoch = excluded.epoch, opened_after = excluded.opened_after, updated_at = now()
         WHERE p.epoch < excluded.epoch AND p.seq <= excluded.opened_after
         RETURNING p.partition
       )
       INSERT INTO openings (partition, epoch, opened_after, parent) SELECT partition, $2, $3, $4 FROM raised`,
      [partition, epoch, seq, parent ?? null],
    );
    if (rowCount === 0) {
      throw new Error(
        `Partition ${partition}: epoch ${epoch} after event ${seq} does not follow what was announced and persisted.`,
      );
    }
  }

  async *changedSince(partition: number, seq: number): AsyncGenerator<PersistedState> {
    const session = this.sessions.get(partition);
    if (session) {
      yield* changedSince(session, partition, seq);
      return;
    }
    const client = await this.pool.connect();
    let failed = true;
    try {
      yield* changedSince(client, partition, seq);
      failed = false;
    } finally {
      client.release(failed);
    }
  }

  private client(partition: number): pg.PoolClient | pg.Pool {
    return this.sessions.get(partition) ?? this.pool;
  }
}

import { Cluster } from 'ioredis';
import type pg from 'pg';
import { Keys } from '../../engine/keys.js';
import { Partitions } from '../../engine/partitions.js';
import { parseAddress } from '../../engine/redis/address.js';
import type { PersistedSource } from '../../engine/types.js';
import type { Target } from '../verify/connect.js';

export interface RebuildOptions {
  readonly target: Target;
  readonly pool: pg.Pool;
  readonly source: PersistedSource;
  /** Throws away what Redis holds and Postgres has too; without it only partitions without data are rebuilt. */
  readonly replace: boolean;
  /** Throws away also events that Postgres does not have. */
  readonly discardUnpersisted: boolean;
  /** Keys removed by one command; default 1,000. */
  readonly pageKeys?: number;
}

export class RebuildRefused extends Error {
  override readonly name = 'RebuildRefused';
}

/** Keys looked at in one SCAN step. */
const SCAN_COUNT = 1_000;
const COMMAND_MS = 10_000;
const LOCK_TRIES = 60;

interface Found {
  readonly partition: number;
  readonly redisSeq: number;
  readonly persistedSeq: number;
}

/**
 * Empties the partitions in Redis, so that recovery finds nothing and writes everything back from Postgres. Each is fenced first and
 * emptied under the recovery lock: nobody sells on it meanwhile and nobody opens it half emptied.
 * @returns partitions that hold data in Postgres
 * Rejects with RebuildRefused, with nothing changed, when Redis holds something that was not allowed to go.
 */
export async function emptyForRebuild(options: RebuildOptions): Promise<number[]> {
  const { target } = options;
  const partitions = new Partitions(target.partitions);
  const keys = new Keys(target.keyPrefix, partitions);
  const { seeds, access } = parseAddress(target.redisUrl);
  const redis = new Cluster([...seeds], {
    clusterRetryStrategy: () => null,
    redisOptions: { ...access, disableClientInfo: true, commandTimeout: COMMAND_MS, maxRetriesPerRequest: 1 },
  });
  redis.on('error', () => undefined);
  try {
    await redis.ping();
    const found = await look(redis, keys, options);
    refuse(found, options);
    for (const { partition, redisSeq } of found) if (redisSeq > 0) await empty(redis, keys, partition, options);
    return found.filter((one) => one.persistedSeq > 0).map((one) => one.partition);
  } finally {
    redis.disconnect();
  }
}

async function look(redis: Cluster, keys: Keys, { pool, target }: RebuildOptions): Promise<Found[]> {
  const { rows } = await pool.query<{ partition: number; seq: number }>('SELECT partition, seq FROM positions');
  const persisted = new Map(rows.map((row) => [row.partition, row.seq]));
  const found: Found[] = [];
  for (let partition = 0; partition < target.partitions; partition++) {
    const redisSeq = Number((await redis.hget(keys.fixed('meta', partition), 'seq')) ?? 0);
    found.push({ partition, redisSeq, persistedSeq: persisted.get(partition) ?? 0 });
  }
  return found;
}

function refuse(found: readonly Found[], { replace, discardUnpersisted }: RebuildOptions): void {
  const filled = found.filter((one) => one.redisSeq > 0);
  if (filled.length > 0 && !replace) {
    throw new RebuildRefused(
      `Redis holds ${filled.length} partitions with data. Where it is only out of step, a worker repairs it by itself; to throw it away and write it anew from Postgres, use --replace.`,
    );
  }
  const ahead = found.filter((one) => one.redisSeq > one.persistedSeq);
  if (ahead.length > 0 && !discardUnpersisted) {
    const events = ahead.reduce((sum, one) => sum + one.redisSeq - one.persistedSeq, 0);
    throw new RebuildRefused(
      `Postgres does not have ${events} events of ${ahead.length} partitions yet. Let a worker persist them first, or throw them away with --discard-unpersisted.`,
    );
  }
}

async function empty(redis: Cluster, keys: Keys, partition: number, options: RebuildOptions): Promise<void> {
  const meta = keys.fixed('meta', partition);
  for (let attempt = 0; attempt < LOCK_TRIES; attempt++) {
    const done = await options.source.exclusively(partition, async () => {
      await redis.hset(meta, 'owner', '');
      // Between the first look and the fence something may have been sold.
      const seq = Number((await redis.hget(meta, 'seq')) ?? 0);
      const { seq: persisted } = await options.source.position(partition);
      if (seq > persisted && !options.discardUnpersisted) {
        throw new RebuildRefused(
          `Partition ${partition} was sold from while it was emptied; nothing of it was lost. Stop the servers first.`,
        );
      }
      await removeAll(redis, keys, partition, options);
      return true;
    });
    if (done) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new RebuildRefused(`Partition ${partition} is being recovered by another process.`);
}

/** What `meta` says of what the partition holds. Without these it is one of which nothing is known, and only its fence is left. */
const STAND = ['epoch', 'seq', 'run', 'persisted', 'openings', 'recovery'];

/**
 * All keys of the partition. First what `meta` says of them: whoever finds a partition without an epoch writes all of it anew, so that
 * one that is emptied half way is not taken for what it was. `meta` itself stays, with the fence and who owns recovery.
 */
async function removeAll(redis: Cluster, keys: Keys, partition: number, options: RebuildOptions): Promise<void> {
  const { source, pageKeys = SCAN_COUNT } = options;
  const meta = keys.fixed('meta', partition);
  await redis.hdel(meta, ...STAND);
  const base = meta.slice(0, meta.lastIndexOf(':') + 1);
  const pattern = `${base.replace(/[[\]*?\\]/g, '\\$&')}*`;
  for (const node of redis.nodes('master')) {
    let cursor = '0';
    do {
      const [next, names] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
      cursor = next;
      const data = names.filter((name) => name !== meta);
      for (let at = 0; at < data.length; at += pageKeys) {
        await requireAlone(redis, meta, partition, source);
        await redis.unlink(...data.slice(at, at + pageKeys));
      }
    } while (cursor !== '0');
  }
}

/** @throws Error when others may have the partition: the locks went with the session, or it has been opened since. */
async function requireAlone(redis: Cluster, meta: string, partition: number, source: PersistedSource): Promise<void> {
  await source.position(partition);
  if ((await redis.hget(meta, 'epoch')) !== null)
    throw new RebuildRefused(
      `Partition ${partition} was opened by another process while it was emptied. Run it again.`,
    );
}

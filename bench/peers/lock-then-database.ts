/** Peer (b): a lock in Redis (redis-semaphore's Mutex) around reading and updating one row of Postgres. */
import { Redis } from 'ioredis';
import pg from 'pg';
import { Mutex } from 'redis-semaphore';
import type { Postgres } from '../../stack/postgres.js';
import type { RedisCluster } from '../../stack/redis-cluster.js';
import { masterPort } from '../lib/bed.js';

const STOCKED = 1_000_000_000;
/** Callers that want the lock at the same time; the best of them is taken. */
const CALLERS = [1, 8, 50];
/** The library's own default is 10 ms; asking more often is kinder to this peer. */
const RETRY_MS = 1;

export interface LockPeer {
  best(seconds: number): Promise<{ rate: number; faults: string[] }>;
  close(): Promise<void>;
}

export async function prepareLock(cluster: RedisCluster, postgres: Postgres): Promise<LockPeer> {
  const redis = new Redis({ port: masterPort(cluster), host: '127.0.0.1' });
  redis.on('error', () => undefined);
  const pool = new pg.Pool({ connectionString: postgres.url, max: 8 });
  pool.on('error', () => undefined);
  await pool.query(`
    create table lock_stock (id int primary key, available bigint not null, reserved bigint not null);
    create table lock_holds (id bigint generated always as identity primary key, buyer text, quantity int, deadline timestamptz);
    insert into lock_stock values (1, ${STOCKED}, 0);`);
  return {
    async best(seconds) {
      let rate = 0;
      for (const callers of CALLERS)
        rate = Math.max(rate, await measure(redis, pool, callers, Math.max(2, seconds / 2) * 1_000));
      const { rows } = await pool.query<{ reserved: string; holds: string }>(
        'select reserved, (select count(*) from lock_holds) as holds from lock_stock where id = 1',
      );
      const { reserved, holds } = rows[0]!;
      return { rate, faults: reserved === holds ? [] : [`${holds} holds for ${reserved} units behind the lock`] };
    },
    async close() {
      redis.disconnect();
      await pool.end();
    },
  };
}

async function measure(redis: Redis, pool: pg.Pool, callers: number, ms: number): Promise<number> {
  const until = performance.now() + ms;
  let done = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < until) {
      const mutex = new Mutex(redis, 'lock:{bench}', {
        lockTimeout: 10_000,
        acquireTimeout: 30_000,
        retryInterval: RETRY_MS,
        refreshInterval: 0,
      });
      await mutex.acquire();
      try {
        await reserve(pool);
        done++;
      } finally {
        await mutex.release();
      }
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: callers }, caller));
  return done / ((performance.now() - startedAt) / 1_000);
}

/** Read, decide, write: the lock is what makes it safe. */
async function reserve(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const { rows } = await client.query<{ available: string }>('select available from lock_stock where id = 1');
    if (Number(rows[0]!.available) < 1) throw new Error('sold out');
    await client.query('update lock_stock set available = available - 1, reserved = reserved + 1 where id = 1');
    await client.query(
      `insert into lock_holds (buyer, quantity, deadline) values ('buyer', 1, now() + interval '30 min')`,
    );
    await client.query('commit');
  } finally {
    client.release();
  }
}

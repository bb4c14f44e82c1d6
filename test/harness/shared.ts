import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { identify } from '../../stack/identity.js';
import { type Postgres, startPostgres } from '../../stack/postgres.js';
import { onShutdown } from '../../stack/processes.js';
import { type RedisCluster, startRedisCluster } from '../../stack/redis-cluster.js';
import { claimTempDir, sweepTempDirs } from '../../stack/temp.js';
import { TEST_REDIS_CONF } from './settings.js';

/**
 * What a test file borrows from the run it belongs to. A file that is run by hand (`npx tsx test/…`) finds no run and starts
 * the servers it needs itself; they end with it.
 */
const own: { dir?: string; redis?: Promise<RedisCluster>; postgres?: Promise<Postgres> } = {};

// tap ends a file after 30 s; here the runner bounds a file, and by hand nobody is waiting.
t.setTimeout(0);

// A file that does not end has left something open. Registered first, so that it runs after all other teardowns.
t.teardown(() => {
  const LINGER_MS = 5_000;
  setTimeout(() => {
    const open = [...process.getActiveResourcesInfo(), ...openSockets()].join(', ');
    console.error(`# This file is done but does not end. Still open: ${open}`);
  }, LINGER_MS).unref();
});

/** Both ends of every connection: what is left open tells by its port whose it is. */
export function openSockets(): string[] {
  // Nothing public lists sockets.
  const handles = (process as unknown as { _getActiveHandles(): object[] })._getActiveHandles();
  return handles
    .filter((handle): handle is Socket => handle instanceof Socket && handle.remotePort !== undefined)
    .map((socket) => `:${socket.localPort} → ${socket.remoteAddress}:${socket.remotePort}`);
}

/** Registers work for the end of the test file: after all tests, before the file is judged. Last in, first out. */
export function atEnd(work: () => Promise<void>): void {
  const withdraw = onShutdown(work);
  t.teardown(async () => {
    withdraw();
    await work();
  });
}

/** A folder for this test file that is removed at its end. World-traversable, so that Postgres' own user can work in it. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  chmodSync(dir, 0o755);
  claimTempDir(dir, identify(process.pid)!);
  atEnd(async () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function ownDir(): Promise<string> {
  if (!own.dir) {
    await sweepTempDirs();
    own.dir = tempDir();
  }
  return own.dir;
}

/** Startup nodes of the cluster that all test files of a run share, as `redis://host:port,…`. */
export async function sharedRedisUrl(): Promise<string> {
  const given = process.env.HOLDFAST_TEST_REDIS_URL;
  if (given) return given;
  own.redis ??= ownDir().then(async (dir) => {
    const cluster = await startRedisCluster({ dir: join(dir, 'redis'), conf: TEST_REDIS_CONF, disposable: true });
    atEnd(() => cluster.stop());
    return cluster;
  });
  return (await own.redis).url;
}

/** A database of the run's Postgres from which others may be created. */
export async function sharedDatabaseUrl(): Promise<string> {
  const given = process.env.HOLDFAST_TEST_DATABASE_URL;
  if (given) return given;
  own.postgres ??= ownDir().then(async (dir) => {
    const postgres = await startPostgres({ dir: join(dir, 'postgres'), database: 'maintenance', disposable: true });
    atEnd(() => postgres.stop());
    return postgres;
  });
  return (await own.postgres).url;
}

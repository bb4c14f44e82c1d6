import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { type App, createApp, waitReady } from './apps.js';
import { freePorts, portIsFree } from './ports.js';
import { type Postgres, startPostgres } from './postgres.js';
import {
  ensurePostgresRoles,
  type PostgresPasswords,
  postgresRole,
  type PostgresRole,
  urlOfRole,
} from './postgres-roles.js';
import { sweep } from './processes.js';
import { type RedisCluster, type RedisClusterOptions, startRedisCluster } from './redis-cluster.js';
import type { RedisPasswords, RedisRole } from './redis-users.js';

/** Makes every part log in as what it is (docs/security.md). Servers of someone else have users of their own. */
export interface StackUsers {
  readonly redis: RedisPasswords;
  readonly postgres: PostgresPasswords;
  /** Migrates as the owner and gives these login roles what they need. */
  prepareDatabase(ownerUrl: string, roles: Record<'worker' | 'server' | 'reader', string>): Promise<void>;
}

export interface LocalStackOptions {
  /** Everything lives under this folder; an existing one is started again with its data. */
  dir: string;
  /** Port of the HTTP server; a free one when absent. */
  port?: number;
  host?: string;
  servers?: number;
  workers?: number;
  /** Signs tokens; made up when absent. */
  jwtSecret?: string;
  /** Use these servers and start none. */
  redisUrl?: string;
  databaseUrl?: string;
  redis?: Pick<RedisClusterOptions, 'masters' | 'replicasPerMaster' | 'conf'>;
  postgresSettings?: Record<string, string>;
  /** Without it everybody who reaches Redis may do everything there, and all are superusers of Postgres. */
  users?: StackUsers;
  /** More or other HOLDFAST_* for servers and workers. */
  env?: Record<string, string>;
  /** Only Redis and Postgres; `startApps()` later. */
  withoutApps?: boolean;
  /** For tests: processes are killed at the end instead of asked to finish. Data is written as safely as ever. */
  disposable?: boolean;
  /** Told what happens, one line a step. */
  onProgress?: (line: string) => void;
  readyTimeoutMs?: number;
  /** How often a server or worker that ends while starting is started in all. Default 1. */
  startAttempts?: number;
}

/** The whole system on this machine. */
export interface LocalStack {
  readonly dir: string;
  readonly logDir: string;
  readonly port: number;
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  readonly jwtSecret: string;
  /** With users: as the operator. */
  readonly redisUrl: string;
  /** With users: as a worker, and for reading only. */
  readonly databaseUrl: string;
  readonly readerUrl: string;
  /** Absent when servers of someone else are used. */
  readonly redis?: RedisCluster;
  readonly postgres?: Postgres;
  readonly servers: readonly App[];
  readonly workers: readonly App[];
  /** The environment that servers and workers get. */
  readonly env: Readonly<Record<string, string>>;
  /** Starts those servers and workers that do not run and waits until all are ready. */
  startApps(): Promise<void>;
  /** Servers first (they finish their requests), then workers (they drain), then Postgres and Redis. Data is kept. */
  stop(): Promise<void>;
}

const LIMITS = { servers: 16, workers: 16 };
const READY_MS = 90_000;

export async function startLocalStack(options: LocalStackOptions): Promise<LocalStack> {
  const dir = resolve(options.dir);
  const logDir = join(dir, 'logs');
  const counts = countsOf(options);
  const say = options.onProgress ?? (() => undefined);
  await sweep(join(dir, 'run'));

  const host = options.host ?? '127.0.0.1';
  const [free, ...metricsPorts] = await freePorts(1 + counts.workers);
  const port = options.port ?? free!;
  if (!(await portIsFree(port, host)))
    throw new Error(`Port ${port} is in use by another program. Choose another one with --port, or stop that program.`);

  let redis: RedisCluster | undefined;
  let postgres: Postgres | undefined;
  const apps: App[] = [];
  const stop = async () => {
    const force = options.disposable === true;
    await Promise.all(apps.filter((app) => app.kind === 'server').map((app) => app.stop({ force })));
    await Promise.all(apps.filter((app) => app.kind === 'worker').map((app) => app.stop({ force })));
    await Promise.all([postgres?.stop(), redis?.stop()]);
  };
  try {
    // Both are awaited before anything is thrown: none may be left starting while the other is stopped.
    const started = await Promise.allSettled([
      options.redisUrl ? undefined : startRedis(options, dir, logDir, say).then((cluster) => (redis = cluster)),
      options.databaseUrl ? undefined : startDatabase(options, dir, logDir, say).then((server) => (postgres = server)),
    ]);
    for (const result of started) if (result.status === 'rejected') throw result.reason;

    if (options.users && postgres) await prepareRoles(options.users, postgres);
    const urls = urlsOf(options, redis, postgres);
    const redisUrl = urls.redis('operator');
    const databaseUrl = urls.database('worker');
    const jwtSecret = options.jwtSecret ?? randomBytes(32).toString('base64url');
    const env: Record<string, string> = {
      ...inherited(),
      HOLDFAST_REDIS_URL: redisUrl,
      HOLDFAST_DATABASE_URL: databaseUrl,
      HOLDFAST_PORT: String(port),
      HOLDFAST_HOST: host,
      HOLDFAST_JWT_SECRET: jwtSecret,
      ...options.env,
    };
    apps.push(...createApps(options, counts, env, urls, metricsPorts));
    const startApps = async () => {
      await Promise.all(apps.map((app) => startUntilReady(app, options)));
    };
    if (!options.withoutApps && apps.length > 0) {
      say('starting servers and workers');
      await startApps();
    }
    return {
      dir,
      logDir,
      port,
      url: `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}`,
      jwtSecret,
      redisUrl,
      databaseUrl,
      readerUrl: urls.database('reader'),
      redis,
      postgres,
      servers: apps.filter((app) => app.kind === 'server'),
      workers: apps.filter((app) => app.kind === 'worker'),
      env,
      startApps,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startUntilReady(app: App, options: LocalStackOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    if (!app.running) await app.start();
    try {
      return await waitReady(app, options.readyTimeoutMs ?? READY_MS);
    } catch (error) {
      if (app.running || attempt >= (options.startAttempts ?? 1)) throw error;
    }
  }
}

function countsOf(options: LocalStackOptions): { servers: number; workers: number } {
  const counts = { servers: options.servers ?? 1, workers: options.workers ?? 2 };
  for (const kind of ['servers', 'workers'] as const)
    if (!Number.isInteger(counts[kind]) || counts[kind] < 0 || counts[kind] > LIMITS[kind])
      throw new Error(`The number of ${kind} must be 0 to ${LIMITS[kind]}, not ${counts[kind]}.`);
  return counts;
}

function createApps(
  options: LocalStackOptions,
  counts: { servers: number; workers: number },
  env: Record<string, string>,
  urls: Urls,
  metricsPorts: number[],
): App[] {
  const dir = resolve(options.dir);
  const common = { runDir: join(dir, 'run'), logDir: join(dir, 'logs'), disposable: options.disposable };
  const envOf = (kind: App['kind']) => ({
    ...process.env,
    ...env,
    HOLDFAST_REDIS_URL: urls.redis(kind),
    HOLDFAST_DATABASE_URL: urls.database(kind),
    ...options.env,
  });
  const apps: App[] = [];
  for (let i = 1; i <= counts.workers; i++) {
    const port = metricsPorts[i - 1]!;
    const workerEnv = { ...envOf('worker'), HOLDFAST_METRICS_PORT: String(port) };
    apps.push(createApp({ ...common, kind: 'worker', name: `worker-${i}`, env: workerEnv, port }));
  }
  const port = Number(env.HOLDFAST_PORT);
  for (let i = 1; i <= counts.servers; i++)
    apps.push(createApp({ ...common, kind: 'server', name: `server-${i}`, env: envOf('server'), port }));
  return apps;
}

interface Urls {
  redis(role: RedisRole): string;
  database(role: PostgresRole): string;
}

function urlsOf(options: LocalStackOptions, redis: RedisCluster | undefined, postgres: Postgres | undefined): Urls {
  const { users } = options;
  return {
    redis: (role) => options.redisUrl ?? redis!.urlFor(role),
    database: (role) => options.databaseUrl ?? (users ? urlOfRole(postgres!.url, role, users.postgres) : postgres!.url),
  };
}

async function prepareRoles(users: StackUsers, postgres: Postgres): Promise<void> {
  await ensurePostgresRoles(postgres.url, users.postgres);
  const [worker, server, reader] = (['worker', 'server', 'reader'] as const).map(postgresRole);
  await users.prepareDatabase(urlOfRole(postgres.url, 'owner', users.postgres), {
    worker: worker!,
    server: server!,
    reader: reader!,
  });
}

/** The installation that servers and workers are told of. */
function prefixOf(options: LocalStackOptions): string {
  return options.env?.HOLDFAST_KEY_PREFIX || process.env.HOLDFAST_KEY_PREFIX || 'hf';
}

function startRedis(options: LocalStackOptions, dir: string, logDir: string, say: (line: string) => void) {
  const { masters = 3, replicasPerMaster = 1 } = options.redis ?? {};
  const users = options.users && { passwords: options.users.redis, prefix: prefixOf(options) };
  say(`starting a Redis Cluster (${masters} masters, ${masters * replicasPerMaster} replicas)`);
  return startRedisCluster({
    ...options.redis,
    dir: join(dir, 'redis'),
    logDir,
    disposable: options.disposable,
    users,
  });
}

function startDatabase(options: LocalStackOptions, dir: string, logDir: string, say: (line: string) => void) {
  say('starting Postgres');
  return startPostgres({ dir: join(dir, 'postgres'), logDir, settings: options.postgresSettings });
}

/** Settings that the caller of `up` has in its environment reach servers and workers, except those that `up` decides. */
function inherited(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined && name.startsWith('HOLDFAST_') && !name.startsWith('HOLDFAST_TEST_')) found[name] = value;
  return found;
}

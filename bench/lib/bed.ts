/**
 * What benchmarks run on: servers of their own, in a folder of their own, on free ports. One machine carries everything, so a
 * cluster here is one master and one replica: more nodes would only share the same cores.
 */
import { mkdirSync, mkdtempSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { onShutdown } from '../../stack/processes.js';
import { type Postgres, startPostgres } from '../../stack/postgres.js';
import { type RedisCluster, startRedisCluster } from '../../stack/redis-cluster.js';
import { withAdmin } from '../../stack/redis-form.js';
import { type LocalStack, startLocalStack } from '../../stack/stack.js';

/**
 * `redis.conf` as it is, but for one line: when the append-only file is rewritten depends on how much was written before, so a
 * rewrite would hit one variant and not the other.
 */
const REDIS_CONF: Record<string, string> = { 'auto-aof-rewrite-percentage': '0', maxmemory: '8gb' };

export interface StackWish {
  servers?: number;
  workers?: number;
  env?: Record<string, string>;
  postgresSettings?: Record<string, string>;
}

export interface BenchStack extends LocalStack {
  authorization: string;
}

export class Bed {
  private readonly dir: string;
  private readonly closers: (() => Promise<void>)[] = [];
  private readonly withdraw: () => void;
  private counter = 0;

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
    // Postgres may run as a user of its own.
    chmodSync(this.dir, 0o755);
    const withdraw = onShutdown(() => this.clear());
    this.withdraw = () => void withdraw();
  }

  folder(name: string): string {
    const dir = join(this.dir, `${++this.counter}-${name}`);
    mkdirSync(dir, { recursive: true });
    return dir;
  }

  /** A cluster of one shard, AOF on. */
  async redis(replicas = 1): Promise<RedisCluster> {
    const dir = this.folder('redis');
    const options = { dir, masters: 1, replicasPerMaster: replicas, conf: REDIS_CONF, disposable: true };
    const cluster = await startRedisCluster(options);
    this.closers.push(() => cluster.stop());
    return cluster;
  }

  /** Postgres as durable as in production. */
  async postgres(): Promise<Postgres> {
    const postgres = await startPostgres({ dir: this.folder('postgres') });
    this.closers.push(() => postgres.stop());
    return postgres;
  }

  /** Redis, Postgres, one server process, one worker process. */
  async stack(options: StackWish = {}): Promise<BenchStack> {
    const stack = await startLocalStack({
      dir: this.folder('stack'),
      servers: options.servers ?? 1,
      workers: options.workers ?? 1,
      redis: { masters: 1, replicasPerMaster: 1, conf: { maxmemory: '8gb' } },
      postgresSettings: options.postgresSettings,
      env: { HOLDFAST_LOG_LEVEL: 'warn', ...options.env },
      disposable: true,
    });
    this.closers.push(() => stack.stop());
    const token = await new SignJWT({ role: 'admin' })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject('bench')
      .setIssuer('holdfast')
      .setAudience('holdfast')
      .setIssuedAt()
      .setExpirationTime('12h')
      .sign(new TextEncoder().encode(stack.jwtSecret));
    return Object.assign(Object.create(stack) as LocalStack, { authorization: `Bearer ${token}` });
  }

  /** More that has to end with the benchmark. */
  add(close: () => Promise<void>): void {
    this.closers.push(close);
  }

  /** Ends what the last benchmark started; the folder of its data goes too. */
  async clear(): Promise<void> {
    for (const close of this.closers.splice(0).reverse()) await close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    await this.clear();
    this.withdraw();
  }
}

export function portOf(url: string): number {
  return Number(new URL(url.split(',')[0]!).port);
}

/** Pids by part, for CPU accounting. */
export function redisPids(cluster: RedisCluster | undefined): Record<string, number[]> {
  const pids = (role: string) => (cluster?.nodes ?? []).filter((node) => node.role === role).map((node) => node.pid);
  return { redis: pids('master'), replica: pids('replica') };
}

export function stackPids(stack: LocalStack): Record<string, number[]> {
  return {
    server: stack.servers.map((app) => app.pid),
    ...redisPids(stack.redis),
    worker: stack.workers.map((app) => app.pid),
    postgres: stack.postgres ? [stack.postgres.pid] : [],
  };
}

export function masterPort(cluster: RedisCluster): number {
  return cluster.nodes.find((node) => node.role === 'master')!.port;
}

/** Empties the shard between two measurements, so that memory and rehashing of one do not weigh on the next. */
export async function emptyShard(cluster: RedisCluster): Promise<void> {
  await withAdmin(masterPort(cluster), async (client) => {
    await client.flushall('ASYNC');
  });
}

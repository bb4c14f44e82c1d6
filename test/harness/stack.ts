import { join } from 'node:path';
import { SignJWT } from 'jose';
import { type Postgres, startPostgres } from '../../stack/postgres.js';
import { type RedisCluster, type RedisClusterOptions, startRedisCluster } from '../../stack/redis-cluster.js';
import { type LocalStack, type LocalStackOptions, startLocalStack } from '../../stack/stack.js';
import { TEST_REDIS_CONF } from './settings.js';
import { atEnd, tempDir } from './shared.js';

export interface TestStack extends LocalStack {
  /** An `Authorization` header for the stack's server. */
  authorization(role: 'admin' | 'service' | 'buyer', sub?: string): Promise<{ authorization: string }>;
}

/**
 * The whole system for one test alone, on free ports in its own folder: for tests that kill, freeze, fill or restart things.
 * Nothing is started again by itself, so that a test sees what its kill did; `app.start()`, `node.restart()`,
 * `postgres.restart()` and `startApps()` do it. Ends with the file; a test may `stop()` it earlier. `dir` of a stopped stack can
 * be started again.
 */
export async function startStack(options: Partial<LocalStackOptions> = {}): Promise<TestStack> {
  const stack = await startLocalStack({
    workers: 1,
    servers: 1,
    disposable: true,
    ...options,
    dir: options.dir ?? tempDir(),
    redis: { ...options.redis, conf: { ...TEST_REDIS_CONF, ...options.redis?.conf } },
    env: { HOLDFAST_LOG_LEVEL: 'warn', ...options.env },
  });
  atEnd(() => stack.stop());
  const key = new TextEncoder().encode(stack.jwtSecret);
  // No spread: the getters of the stack must stay getters.
  return Object.assign(Object.create(stack) as LocalStack, {
    async authorization(role: string, sub: string = role) {
      const token = await new SignJWT({ role })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setSubject(sub)
        .setIssuer('holdfast')
        .setAudience('holdfast')
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(key);
      return { authorization: `Bearer ${token}` };
    },
  });
}

/** A Redis Cluster for one test alone, for tests that break it and need no server. Ends with the file. */
export async function startCluster(options: Partial<RedisClusterOptions> = {}): Promise<RedisCluster> {
  const conf = { ...TEST_REDIS_CONF, ...options.conf };
  const cluster = await startRedisCluster({ disposable: true, ...options, dir: options.dir ?? tempDir(), conf });
  atEnd(() => cluster.stop());
  return cluster;
}

/** A Postgres for one test alone, as durable as a real one. Ends with the file. */
export async function startDatabase(options: { dir?: string } = {}): Promise<Postgres> {
  const postgres = await startPostgres({ dir: join(options.dir ?? tempDir(), 'postgres') });
  atEnd(() => postgres.stop());
  return postgres;
}

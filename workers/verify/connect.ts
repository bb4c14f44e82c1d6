import { openEngine } from '../../engine/index.js';
import type { Engine, PersistedSource } from '../../engine/types.js';
import { runningState } from '../../stack/state.js';
import { openPools, type Pools } from '../db/pools.js';

/** Where an installation's Redis and Postgres are. */
export interface Target {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly keyPrefix: string;
  readonly partitions: number;
}

/** HOLDFAST_REDIS_URL and HOLDFAST_DATABASE_URL where both are set, else the local stack of this data folder. Throws when there is neither. */
export function findTarget(dataDir: string, env: NodeJS.ProcessEnv = process.env): Target {
  const given = env.HOLDFAST_REDIS_URL && env.HOLDFAST_DATABASE_URL ? env : undefined;
  const state = given ? undefined : runningState(dataDir);
  if (!given && !state) {
    throw new Error(
      `No stack runs in ${dataDir}. Start it with ./holdfast up, name its folder with --data, or set HOLDFAST_REDIS_URL and HOLDFAST_DATABASE_URL.`,
    );
  }
  const settings = given ?? state!.env;
  return {
    redisUrl: given?.HOLDFAST_REDIS_URL ?? state!.redis.url,
    databaseUrl: given?.HOLDFAST_DATABASE_URL ?? state!.postgres.url,
    keyPrefix: settings.HOLDFAST_KEY_PREFIX || 'hf',
    partitions: Number(settings.HOLDFAST_PARTITIONS || 64),
  };
}

export interface Connection {
  readonly engine: Engine;
  readonly pools: Pools;
  close(): Promise<void>;
}

/** Opens both; without a `source` partitions are only looked at, never opened. */
export async function connect(
  target: Target,
  source?: (pools: Pools) => PersistedSource,
  onNotice?: (notice: { level: string; message: string }) => void,
): Promise<Connection> {
  const pools = openPools(target.databaseUrl);
  try {
    const engine = await openEngine({
      redis: target.redisUrl,
      prefix: target.keyPrefix,
      partitions: target.partitions,
      recovery: source ? 'self' : 'external',
      ...(source ? { source: source(pools) } : {}),
      ...(onNotice ? { onNotice } : {}),
    });
    return {
      engine,
      pools,
      async close() {
        await engine.close();
        await pools.end();
      },
    };
  } catch (error) {
    await pools.end();
    throw error;
  }
}

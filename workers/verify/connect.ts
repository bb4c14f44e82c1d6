import { openEngine } from '../../engine/index.js';
import type { Engine, PersistedSource } from '../../engine/types.js';
import { openPools, type Pools } from '../db/pools.js';

/** Where an installation's Redis and Postgres are. */
export interface Target {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly keyPrefix: string;
  readonly partitions: number;
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
  // Somebody waits for a command, for as long as there is data.
  const pools = openPools(target.databaseUrl, { generalQueryMs: 0 });
  try {
    const engine = await openEngine({
      redis: target.redisUrl,
      prefix: target.keyPrefix,
      partitions: target.partitions,
      recovery: source ? 'self' : 'external',
      // Workers' business: the operator's user may not.
      takeover: false,
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

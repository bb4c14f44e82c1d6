import { Cluster } from 'ioredis';
import { pino } from 'pino';
import { Keys } from '../../engine/keys.js';
import { openEngine } from '../../engine/index.js';
import { Partitions } from '../../engine/partitions.js';
import type { Engine, ItemRef } from '../../engine/types.js';
import { openPools, type Pools } from '../../workers/db/pools.js';
import { type VerifyReport } from '../../workers/verify/problems.js';
import { verify } from '../../workers/verify/verify.js';
import { type RunningWorker, startWorker } from '../../workers/worker.js';
import { atEnd, testCluster, testDatabase } from '../harness/index.js';

export const PARTITIONS = 8;
export const silent = pino({ level: process.env.HOLDFAST_LOG_LEVEL ?? 'silent' });

export interface Bench {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly prefix: string;
  readonly env: Record<string, string>;
  readonly pools: Pools;
  readonly redis: Cluster;
  readonly keys: Keys;
  worker(): Promise<RunningWorker>;
  engine(): Promise<Engine>;
  verify(engine: Engine, waitMs?: number): Promise<VerifyReport>;
}

/** A key prefix on the shared cluster and a database of its own; workers and engines that end with the file. */
export async function openBench(urls?: { redisUrl: string; databaseUrl: string }): Promise<Bench> {
  const cluster = urls ? { url: urls.redisUrl, prefix: 'hf' } : await testCluster();
  const databaseUrl = urls ? urls.databaseUrl : (await testDatabase()).url;
  const pools = openPools(databaseUrl);
  atEnd(() => pools.end());
  const redis = new Cluster(cluster.url.split(','), { clusterRetryStrategy: (times) => Math.min(200, times * 50) });
  redis.on('error', () => undefined);
  atEnd(async () => redis.disconnect());
  const env = {
    HOLDFAST_REDIS_URL: cluster.url,
    HOLDFAST_DATABASE_URL: databaseUrl,
    HOLDFAST_KEY_PREFIX: cluster.prefix,
    HOLDFAST_PARTITIONS: String(PARTITIONS),
    HOLDFAST_LOG_LEVEL: 'warn',
  };
  return {
    redisUrl: cluster.url,
    databaseUrl,
    prefix: cluster.prefix,
    env,
    pools,
    redis,
    keys: new Keys(cluster.prefix, new Partitions(PARTITIONS)),
    async worker() {
      const { readConfig } = await import('../../workers/config.js');
      const worker = await startWorker(readConfig(env), silent);
      atEnd(() => worker.stop());
      return worker;
    },
    async engine() {
      const engine = await openEngine({
        redis: cluster.url,
        prefix: cluster.prefix,
        partitions: PARTITIONS,
        recovery: 'external',
        timeoutMs: 10_000,
      });
      atEnd(() => engine.close());
      return engine;
    },
    verify: (engine, waitMs = 15_000) => verify({ partitions: engine.partitions, pool: pools.general, waitMs }),
  };
}

/** One item in each partition (the first sku that lies there), with stock. */
export async function stockEachPartition(engine: Engine, quantity = 100_000): Promise<ItemRef[]> {
  const items: ItemRef[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    let n = 0;
    let item: ItemRef = { location: 'main', sku: '' };
    do item = { location: 'main', sku: `sku-${partition}-${n++}` };
    while (engine.partitions.of(item) !== partition);
    items.push(item);
    await engine.stock.configure(item, partition % 2 === 0 ? { buyerLimit: 1_000_000 } : {});
    await engine.stock.restock(item, { quantity, movementId: `in-${partition}` });
  }
  return items;
}

/** Every kind of reservation life, over one and several partitions. Rejects when an outcome is not what it must be. */
export async function trade(engine: Engine, items: readonly ItemRef[], rounds: number, tag: string): Promise<number> {
  let done = 0;
  const one = async (n: number) => {
    const first = items[n % items.length]!;
    const second = items[(n * 5 + 1) % items.length]!;
    const lines = n % 6 === 0 && first !== second ? [first, second] : [first];
    if (n % 11 === 0 && first !== second) {
      // One line can be held and the other cannot: what was held is aborted.
      const refused = await engine.reservations.reserve({
        buyerId: `buyer-${n % 50}`,
        lines: [
          { ...first, quantity: 1 },
          { ...second, quantity: 1_000_000 },
        ],
      });
      if (!/insufficient_stock|buyer_limit/.test(refused.status))
        throw new Error(`${tag}: reserve answered ${refused.status}`);
    }
    const held = await engine.reservations.reserve(
      {
        buyerId: `buyer-${n % 50}`,
        lines: lines.map((line) => ({ ...line, quantity: 1 + (n % 2) })),
        holdSeconds: n % 9 === 0 ? 1 : 600,
      },
      n % 7 === 0 ? { actor: 'desk' } : {},
    );
    if (held.status !== 'ok') throw new Error(`${tag}: reserve answered ${held.status}`);
    const id = held.value.reservationId;
    switch (n % 9) {
      case 0: // left to expire
        break;
      case 1:
        await engine.reservations.release(id);
        break;
      case 2:
        await engine.reservations.extend(id, 900);
        break;
      case 3:
        await engine.reservations.confirm(id);
        await engine.reservations.return(id, [{ ...first, quantity: 1 }]);
        break;
      case 4:
        await engine.stock.deduct(
          first,
          { quantity: 1, orderId: `${tag}-${n}`, buyerId: `buyer-${n % 50}` },
          { actor: 'till' },
        );
        break;
      default:
        await engine.reservations.confirm(id);
    }
    done++;
  };
  const lanes = Array.from({ length: 32 }, async (_, lane) => {
    for (let n = lane; n < rounds; n += 32) await one(n);
  });
  await Promise.all(lanes);
  return done;
}

/** Waits until `look` answers something true; rejects after `timeoutMs`. */
export async function until<T>(look: () => Promise<T>, timeoutMs = 20_000): Promise<NonNullable<T>> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error('what was waited for did not happen');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

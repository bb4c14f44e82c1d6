/** An engine with a near cache, on keys of its own, and what tests of the cache ask again and again. */
import { openCore } from '../../engine/core.js';
import { NearCache, type NearCacheOptions } from '../../engine/cache/near-cache.js';
import { openEngine } from '../../engine/index.js';
import type { Engine, EngineOptions, ItemRef, StockLevel } from '../../engine/types.js';
import { Redis } from 'ioredis';
import { atEnd, testCluster } from '../harness/index.js';
import { until } from './core.js';

export interface CacheBench {
  /** Changes stock. */
  readonly engine: Engine;
  /** Another engine, whose cache hears of the changes only through Redis. */
  readonly reader: Engine;
  readonly cache: NearCache;
  readonly url: string;
  readonly prefix: string;
}

/** On the shared cluster, or on one of the test's own. */
export async function cacheBench(
  options: NearCacheOptions = {},
  where?: { url: string; prefix: string },
  more: Partial<EngineOptions> = {},
): Promise<CacheBench> {
  const { url, prefix } = where ?? (await testCluster());
  const open = async (recovery: 'self' | 'external') => {
    const engine = await openEngine({ redis: url, prefix, partitions: 16, timeoutMs: 10_000, recovery, ...more });
    atEnd(() => engine.close());
    await engine.ready();
    return engine;
  };
  const engine = await open('self');
  const reader = await open('external');
  const cache = reader.openCache(options);
  return { engine, reader, cache, url, prefix };
}

/** Without its domains: the parts that a test wants to disturb. */
export async function bareCache(url: string, prefix: string, options: NearCacheOptions = {}) {
  const core = await openCore({ redis: url, prefix, partitions: 16, recovery: 'external' });
  atEnd(() => core.close());
  await core.ready();
  const cache = new NearCache(
    { deltas: core.deltas, caller: core.caller, partitions: core.keys.partitions, timeoutMs: 10_000 },
    options,
  );
  return { core, cache };
}

export const refOf = ({ location, sku }: ItemRef): string => `${location}:${sku}`;

export async function makeItem(engine: Engine, item: ItemRef, units: number): Promise<void> {
  const made = await engine.stock.configure(item, {});
  if (!('value' in made)) throw new Error(made.status);
  if (units > 0) await change(engine.stock.restock(item, { quantity: units }));
}

/** The new version. */
export async function change(call: ReturnType<Engine['stock']['restock']>): Promise<StockLevel> {
  const outcome = await call;
  if (!('value' in outcome)) throw new Error(outcome.status);
  return outcome.value;
}

/** Waits until the cache has the item in memory, vouched for. */
export async function warm(cache: NearCache, item: ItemRef): Promise<void> {
  await until('the item is in memory', async () => {
    await cache.get(refOf(item));
    return cache.hit(refOf(item), performance.now()) !== undefined;
  });
}

/** A client of the node that serves the slot of the key. */
export async function clientFor(url: string, key: string): Promise<Redis> {
  const first = new URL(url.split(',')[0]!);
  const any = new Redis({ host: first.hostname, port: Number(first.port) });
  const slot = (await any.call('CLUSTER', 'KEYSLOT', key)) as number;
  const slots = (await any.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  any.disconnect();
  const [, , [host, port]] = slots.find(([from, to]) => slot >= from && slot <= to)!;
  const client = new Redis({ host, port });
  atEnd(async () => client.disconnect());
  return client;
}

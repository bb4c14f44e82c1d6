/**
 * Holdfast as a library: `const engine = await openEngine({ redis: 'redis://localhost:7000' })`.
 * No HTTP and no SQL here; servers and workers stand above.
 */
import { NearCache } from './cache/near-cache.js';
import { refOf } from './content.js';
import type { Context } from './context.js';
import { openCore } from './core.js';
import { idAtHome } from './ids.js';
import { reservationsApi, sweep, SweepsOnDemand } from './reservations/index.js';
import { stockApi } from './stock/index.js';
import type { Engine, EngineOptions, PartitionsApi } from './types.js';

export * from './errors.js';
export type * from './types.js';
export { NearCache, type Known, type NearCacheOptions } from './cache/near-cache.js';

/**
 * Connects to the cluster and resolves as soon as calls can be made. Partitions open in the background; calls wait for
 * theirs within their deadline, `ready()` waits for all.
 * @throws InvalidArgument for options that cannot be, or a Redis that cannot be used (no cluster, too old, other partitions).
 * @throws ShardUnavailable when no node can be reached.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const core = await openCore(options);
  const { partitions } = core.keys;
  const context: Context = {
    caller: core.caller,
    partitions,
    ack: core.ack,
    timeoutMs: core.timeoutMs,
    safeMs: core.safeMs,
    swept: (partition) => sweeps.swept(partition),
    notice: core.notice,
  };
  const sweeps = new SweepsOnDemand((partition) => sweep(context, partition));
  const facade = core.partitions;
  const partitionsApi: PartitionsApi = {
    count: facade.count,
    of: (item) => facade.of(item),
    status: (asked) => facade.status(asked),
    memory: () => facade.memory(),
    readLog: (partition, after, maxEvents) => facade.readLog(partition, after, maxEvents),
    readLogs: (requests) => facade.readLogs(requests),
    markPersisted: (partition, position) => facade.markPersisted(partition, position),
    publishPersisted: (positions) => facade.publishPersisted(positions),
    sweep: (partition, max) => sweep(context, partition, max),
    dump: (partition) => facade.dump(partition),
    read: (partition, names) => facade.read(partition, names),
  };
  const { lost, ...reservations } = reservationsApi(context);
  core.reversals.onRecorded(lost);
  return {
    stock: stockApi(context),
    reservations,
    partitions: partitionsApi,
    newReservationId: (item) => idAtHome(partitions.of(refOf(item)), partitions),
    openCache: (cacheOptions) =>
      new NearCache({ deltas: core.deltas, caller: core.caller, partitions, timeoutMs: core.timeoutMs }, cacheOptions),
    reversals: () => core.reversals.counts,
    ready: core.ready,
    close: core.close,
  };
}

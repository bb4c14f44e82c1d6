/** Everything below the domains, wired together: topology, batcher, durable waits, recovery, partitions. */
import { Batcher } from './batch/batcher.js';
import { DEFAULT_TUNING, tunedForDisk, type Tuning } from './batch/tuning.js';
import { Deltas } from './deltas/deltas.js';
import { EngineError, InvalidArgument, ShardUnavailable } from './errors.js';
import { Keys } from './keys.js';
import { PartitionsFacade } from './partitions/index.js';
import { DEFAULT_PARTITIONS, Partitions } from './partitions.js';
import { Recovery } from './recovery/recovery.js';
import { Reversals } from './recovery/reversals.js';
import { Takeover } from './recovery/takeover.js';
import { parseAddress } from './redis/address.js';
import type { ConnectionSettings } from './redis/connection.js';
import { checkDisks, DiskNotices } from './redis/disk.js';
import { DurableWaits } from './redis/durable.js';
import { Topology } from './redis/topology.js';
import { DEFAULT_PREFIX, ScriptSet } from './scripts/loading.js';
import { checkEviction, checkInstallation, checkServer } from './startup.js';
import type { Ack, EngineOptions } from './types.js';

export interface Core {
  readonly keys: Keys;
  readonly caller: Batcher;
  readonly partitions: PartitionsFacade;
  readonly deltas: Deltas;
  readonly ack: Ack;
  readonly timeoutMs: number;
  /** See Context. */
  readonly safeMs: number;
  readonly reversals: Reversals;
  readonly notice: NonNullable<EngineOptions['onNotice']>;
  readonly ready: (timeoutMs?: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 2_000;
/** A reservation over several partitions waits for the disks three times, one after the other. */
const DEFAULT_TIMEOUT_ON_DISK_MS = 10_000;
const READY_TIMEOUT_MS = 30_000;
const MAX_TIMEOUT_MS = 300_000;
const ACKS: readonly unknown[] = ['executed', 'replicated', 'durable'];

/** @throws InvalidArgument, ShardUnavailable when the cluster cannot be used as configured. */
export async function openCore(options: EngineOptions, given: Tuning = DEFAULT_TUNING): Promise<Core> {
  const tuning = options.replicatedOnDisk ? tunedForDisk(given) : given;
  const { keys, ack, timeoutMs, mode } = checkOptions(options);
  const address = parseAddress(options.redis);
  const connection: ConnectionSettings = { access: address.access, connectTimeoutMs: tuning.connectTimeoutMs };
  const notice = quietly(options.onNotice);
  await checkServer(address, connection);
  const topology = new Topology(address.seeds, connection, keys.partitions);
  try {
    await topology.start();
    if (topology.view.masters.size === 0)
      throw new ShardUnavailable('The Redis cluster serves none of the partitions: its slots are not assigned.');
    await checkInstallation(keys, topology.view, connection, mode === 'self', notice);
    await checkEviction(topology.view, connection, notice);
    if (tuning.onDisk) await checkDisks(topology.view, connection, notice);
  } catch (error) {
    topology.close();
    if (error instanceof EngineError) throw error;
    throw new ShardUnavailable(`The Redis cluster cannot be asked: ${(error as Error).message}`, { cause: error });
  }
  const scripts = new ScriptSet(keys.prefix);
  const reversals = new Reversals(() => batcher, notice);
  const batcher: Batcher = new Batcher(
    { keys, scripts, tuning, connection, ack, timeoutMs },
    {
      fenced: (partition, link) => recovery.fenced(partition, link),
      stale: (hint) => void topology.refresh(hint),
      ran: (batch, cells) => reversals.ran(batch, cells),
      durable: (pending, reached) => durable.wait(pending, reached),
      notOnDisk: new DiskNotices(notice).fellShort,
    },
  );
  const linkOf = (partition: number) => batcher.linkOf(partition);
  const durable = new DurableWaits(keys, connection, linkOf);
  const deltas = new Deltas({ keys, connection, links: () => batcher.links, linkOf });
  const { source, takeover: wanted = true } = options;
  const takeover = mode === 'self' && wanted ? new Takeover(topology, connection, notice) : undefined;
  const recovery = new Recovery({ keys, scripts, mode, source, notice, reversals, takeover }, batcher);
  topology.onView((view) => {
    batcher.follow(view);
    recovery.follow();
    deltas.follow();
  });
  batcher.follow(topology.view);
  // Until recovery has looked, calls wait instead of running into closed partitions.
  if (mode === 'self') for (let partition = 0; partition < keys.partitions.count; partition++) batcher.hold(partition);
  recovery.follow();
  return {
    keys,
    caller: batcher,
    partitions: new PartitionsFacade(keys, batcher),
    deltas,
    ack,
    timeoutMs,
    safeMs: tuning.safeMs,
    reversals,
    notice,
    ready: (ms = READY_TIMEOUT_MS) => recovery.ready(ms),
    close: async () => {
      topology.close();
      recovery.close();
      reversals.close();
      await batcher.close();
      durable.close();
      deltas.close();
    },
  };
}

function checkOptions(options: EngineOptions): {
  keys: Keys;
  ack: Ack;
  timeoutMs: number;
  mode: 'self' | 'external';
} {
  const { ack = 'replicated', recovery: mode = 'self', replicatedOnDisk: onDisk = false } = options;
  const { timeoutMs = onDisk ? DEFAULT_TIMEOUT_ON_DISK_MS : DEFAULT_TIMEOUT_MS } = options;
  if (typeof onDisk !== 'boolean') throw new InvalidArgument('replicatedOnDisk must be true or false');
  if (typeof (options.takeover ?? true) !== 'boolean') throw new InvalidArgument('takeover must be true or false');
  if (!ACKS.includes(ack)) throw new InvalidArgument('ack must be executed, replicated or durable');
  if (!Number.isFinite(timeoutMs) || timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS)
    throw new InvalidArgument(`timeoutMs must be 1 to ${MAX_TIMEOUT_MS}`);
  if (mode !== 'self' && mode !== 'external') throw new InvalidArgument('recovery must be self or external');
  if (mode === 'external' && options.source) throw new InvalidArgument('a source needs recovery: self');
  try {
    const partitions = new Partitions(options.partitions ?? DEFAULT_PARTITIONS);
    return { keys: new Keys(options.prefix ?? DEFAULT_PREFIX, partitions), ack, timeoutMs, mode };
  } catch (error) {
    throw new InvalidArgument((error as Error).message, { cause: error });
  }
}

/** A listener that throws must not end what it listens to. */
function quietly(listener: EngineOptions['onNotice']): NonNullable<EngineOptions['onNotice']> {
  return (notice) => {
    try {
      listener?.(notice);
    } catch {
      // Its own business.
    }
  };
}

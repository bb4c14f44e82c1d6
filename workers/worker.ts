import type { Logger } from 'pino';
import { openEngine } from '../engine/index.js';
import type { Engine, EngineOptions } from '../engine/types.js';
import type { WorkerConfig } from './config.js';
import { ensureLedgerRanges } from './db/ledger-ranges.js';
import { openPools, type Pools } from './db/pools.js';
import { prepareDatabase } from './db/prepare.js';
import { pruneProjections } from './db/prune.js';
import { Drainer } from './drain/drain.js';
import { isTransient, sqlState } from './drain/errors.js';
import { Halts } from './drain/halts.js';
import { sweepPartition } from './expiry/expiry.js';
import { WorkerMetrics } from './metrics.js';
import { type OpsServer, serveOps } from './ops/http.js';
import { Seldom } from './ops/seldom.js';
import { RecoveredElsewhere } from './recovery/elsewhere.js';
import { PostgresSource } from './recovery/source.js';
import { type JobName, PartitionQueue } from './wake/queue.js';
import { VerifyRounds } from './verify/rounds.js';
import { Wake } from './wake/wake.js';

const REFRESH_MS = 5_000;
const HOUSEKEEPING_MS = 3_600_000;
/** A worker that has not managed to look at the partitions for this long is not ready. */
const STALE_LOOK_MS = 10_000;

/** A running worker. */
export interface RunningWorker {
  readonly metricsPort: number | undefined;
  readonly metrics: WorkerMetrics;
  /** Finishes the batches under way, takes no more jobs, and lets go of everything. */
  stop(): Promise<void>;
}

/** What is to be let go of at the end, last first. */
class Closers {
  private readonly list: (() => Promise<unknown>)[] = [];
  private closing: Promise<void> | undefined;

  constructor(private readonly log: Logger) {}

  add(close: () => Promise<unknown>): void {
    this.list.push(close);
  }

  close(): Promise<void> {
    return (this.closing ??= this.run());
  }

  private async run(): Promise<void> {
    for (const close of this.list.reverse()) {
      await close().catch((error: unknown) => this.log.warn({ err: error }, 'stopping'));
    }
  }
}

/**
 * Starts a worker: prepares the database, opens the engine as the one that recovers, drains and sweeps. Rejects when something it
 * needs is missing or configured wrongly; after that it rides out outages of Redis and Postgres by itself.
 */
export async function startWorker(config: WorkerConfig, log: Logger): Promise<RunningWorker> {
  const metrics = new WorkerMetrics();
  const closers = new Closers(log);
  const abort = new AbortController();
  let notReady: string | undefined = 'starting';
  let wake: Wake | undefined;
  const ready = () =>
    notReady ?? (Date.now() - wake!.lastLook > STALE_LOOK_MS ? 'partitions cannot be looked at' : undefined);
  const stop = () => {
    notReady = 'stopping';
    abort.abort();
    return closers.close();
  };
  try {
    const ops = await openOps(config, metrics, ready);
    if (ops) closers.add(() => ops.close());
    const pools = await openDatabase(config, log, closers);
    const queue = await PartitionQueue.open(config.queueUrl, log, config.keyPrefix);
    closers.add(() => queue.close());
    const engine = await openWorkerEngine(config, pools, log);
    closers.add(() => engine.close());
    wake = await startWork({ config, log, metrics, closers, pools, queue, engine, signal: abort.signal });
    notReady = undefined;
    log.info({ metricsPort: ops?.port, partitions: config.partitions }, 'worker ready');
    return { metricsPort: ops?.port, metrics, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function openOps(
  config: WorkerConfig,
  metrics: WorkerMetrics,
  ready: () => string | undefined,
): Promise<OpsServer | undefined> {
  if (config.metricsPort === undefined) return undefined;
  return serveOps({ port: config.metricsPort, host: config.metricsHost, registry: metrics.registry, ready });
}

async function openDatabase(config: WorkerConfig, log: Logger, closers: Closers): Promise<Pools> {
  const pools = openPools(config.databaseUrl, {
    drainConnections: config.drainConnections,
    onError: (error) => log.warn({ err: error }, 'connection to Postgres'),
  });
  closers.add(() => pools.end());
  const prepared = await prepareDatabase(config.databaseUrl, pools.patient, config.partitions);
  if (prepared.migrations.length > 0) log.info({ migrations: prepared.migrations }, 'database migrated');
  return pools;
}

interface Work {
  readonly config: WorkerConfig;
  readonly log: Logger;
  readonly metrics: WorkerMetrics;
  readonly closers: Closers;
  readonly pools: Pools;
  readonly queue: PartitionQueue;
  readonly engine: Engine;
  readonly signal: AbortSignal;
}

/** Takes jobs from the queue, and looks for what belongs into it. */
async function startWork(work: Work): Promise<Wake> {
  const { config, log, metrics, closers, pools, queue, engine, signal } = work;
  const halts = new Halts(pools.general, log, metrics);
  const { partitions } = engine;
  const drainer = new Drainer({
    partitions,
    pool: pools.drain,
    halts,
    metrics,
    log,
    lanes: config.drainConnections,
  });
  const handle = handler({ engine, drainer, metrics, log, signal });
  const worker = queue.worker(config.concurrency, async (name, partition) => {
    const ended = await handle(name, partition);
    if (name !== 'drain' || ended === 'busy') return;
    await queue.done(name, partition);
    // Still being sold from: the next job comes now and not with the next look.
    if (ended === 'time' && !signal.aborted) await queue.add([{ name, partition }]);
  });
  closers.add(() => worker.close());
  await halts.refresh();
  const wake = new Wake({
    partitions,
    queue,
    drainer,
    halts,
    metrics,
    log,
    handle: async (name, partition) => void (await handle(name, partition)),
  });
  wake.start();
  closers.add(() => wake.stop());
  closers.add(repeat(REFRESH_MS, log, () => halts.refresh()));
  closers.add(repeat(HOUSEKEEPING_MS, log, () => housekeeping(pools, log)));
  if (config.verifySeconds > 0) {
    const pauseMs = (config.verifySeconds * 1_000) / partitions.count;
    const rounds = new VerifyRounds({ partitions, pool: pools.patient, metrics, log, pauseMs });
    rounds.start();
    closers.add(() => rounds.stop());
  }
  await worker.ready();
  return wake;
}

function openWorkerEngine(config: WorkerConfig, pools: Pools, log: Logger): Promise<Engine> {
  return openEngine({
    redis: config.redisUrl,
    prefix: config.keyPrefix,
    partitions: config.partitions,
    replicatedOnDisk: config.replicatedOnDisk,
    recovery: 'self',
    takeover: config.takeover,
    source: new PostgresSource(
      pools.general,
      new RecoveredElsewhere((who) =>
        log.warn({ ...who }, 'a partition is closed, and another process has been recovering it'),
      ),
    ),
    onNotice: notices(log),
  });
}

/** A partition that cannot be opened says so with every attempt: the same notice is logged once in a while. */
function notices(log: Logger): NonNullable<EngineOptions['onNotice']> {
  const seldom = new Seldom();
  return ({ level, message, ...fields }) => {
    if (seldom.say(JSON.stringify([message, fields])) !== undefined) log[level](fields, message);
  };
}

interface HandlerParts {
  engine: Engine;
  drainer: Drainer;
  metrics: WorkerMetrics;
  log: Logger;
  signal: AbortSignal;
}

/** What a job does. Never rejects: whatever failed is found again by the next look. */
function handler({ engine, drainer, metrics, log, signal }: HandlerParts) {
  const seldom = new Seldom();
  return async (name: JobName, partition: number): Promise<string> => {
    try {
      if (name === 'drain') return await drainer.drain(partition, signal);
      await sweepPartition(engine.partitions, metrics, partition, signal);
      return 'swept';
    } catch (error) {
      metrics.failures.inc({ step: name });
      const { message } = error as Error;
      // While a server is away all partitions say the same, again and again.
      const unsaid = seldom.say(`${name} ${sqlState(error) || message}`);
      const level = isTransient(error) ? 'warn' : 'error';
      if (unsaid !== undefined) log[level]({ err: error, partition, unsaid }, `${name} failed; it is tried again`);
      return 'failed';
    }
  };
}

async function housekeeping(pools: Pools, log: Logger): Promise<void> {
  const { created, blocked } = await ensureLedgerRanges(pools.patient);
  if (created.length > 0) log.info({ created }, 'ledger tables made');
  if (blocked.length > 0) log.warn({ blocked }, 'movements of these months lie in movements_rest and stay there');
  const pruned = await pruneProjections(pools.patient);
  if (pruned > 0) log.info({ pruned }, 'forgotten records removed from the projections');
}

/** Runs `work` every `intervalMs` until the returned function is called. */
function repeat(intervalMs: number, log: Logger, work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    running = running
      .then(work)
      .catch((error: Error) => log.warn({ err: error }, 'housekeeping failed; it is tried again'));
  }, intervalMs);
  return async () => {
    clearInterval(timer);
    await running;
  };
}

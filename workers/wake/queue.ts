import { once } from 'node:events';
import { Queue, Worker, type Job, type JobsOptions } from 'bullmq';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

/** BullMQ's keys all lie under one hash tag: its scripts touch several at once. */
export const QUEUE_PREFIX = '{hfbull}';
const QUEUE_NAME = 'partitions';

/** A job only names work; whoever does it looks at the partition itself. */
export type PartitionJob = { partition: number };
export type JobName = 'drain' | 'sweep';

export class QueueRefused extends Error {
  override readonly name = 'QueueRefused';
}

/** Opens a connection to the Redis (or Redis Cluster) of the queue. `url`: `redis://host:port[,redis://host:port…]`. */
export async function connectQueue(url: string, log: Logger): Promise<Redis | Cluster> {
  const addresses = url.split(',').map((part) => new URL(part.trim()));
  const first = addresses[0]!;
  const options: RedisOptions = {
    username: decodeURIComponent(first.username) || undefined,
    password: decodeURIComponent(first.password) || undefined,
    ...(first.protocol === 'rediss:' ? { tls: {} } : {}),
    connectTimeout: 5_000,
    // BullMQ asks for this: its blocking reads outlive any number of reconnections.
    maxRetriesPerRequest: null,
    enableReadyCheck: true,
  };
  const nodes = addresses.map((address) => ({ host: address.hostname, port: Number(address.port || 6379) }));
  const clustered = await isCluster(nodes, options);
  const connection = clustered
    ? // What BullMQ sends is safe to send again only by its own rules: no library resend on failover.
      new Cluster(nodes, {
        redisOptions: options,
        retryDelayOnFailover: 200,
        clusterRetryStrategy: (times) => Math.min(100 * times, 2_000),
      })
    : new Redis({ ...options, ...nodes[0]! });
  connection.on('error', (error) => log.warn({ err: error }, 'connection of the queue'));
  return connection;
}

async function isCluster(nodes: readonly Address[], options: RedisOptions): Promise<boolean> {
  let last: unknown;
  for (const node of nodes) {
    try {
      return /cluster_enabled:1/.test(await ask({ ...options, ...node }, (probe) => probe.info('cluster')));
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`No Redis of the queue answers: ${(last as Error)?.message ?? 'no address'}`, { cause: last });
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** One question on a connection of its own: those of a cluster come and go while it finds its nodes. */
async function ask<T>(options: RedisOptions, question: (probe: Redis) => Promise<T>): Promise<T> {
  const probe = new Redis({ ...options, lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
  probe.on('error', () => undefined);
  try {
    await probe.connect();
    return await question(probe);
  } finally {
    probe.disconnect();
  }
}

const READY_MS = 30_000;

/**
 * Rejects with QueueRefused unless every master keeps what it is given: one that evicts keys when memory is short would lose jobs
 * and, where the queue shares the cluster, stock.
 */
export async function requireNoEviction(connection: Redis | Cluster): Promise<void> {
  // Asking anything makes a cluster find its nodes first.
  if (connection instanceof Cluster) await connection.exists(`${QUEUE_PREFIX}:probe`);
  // Before the first look at the slots a cluster's nodes are the startup nodes, and the look closes those that are replicas.
  if (connection.status !== 'ready') await once(connection, 'ready', { signal: AbortSignal.timeout(READY_MS) });
  const masters = connection instanceof Cluster ? connection.nodes('master') : [connection];
  for (const { options } of masters) {
    const memory = await ask(options, (probe) => probe.info('memory'));
    const policy = /maxmemory_policy:(\S+)/.exec(memory)?.[1];
    if (policy !== 'noeviction') {
      throw new QueueRefused(
        `Redis at ${options.host}:${options.port} has maxmemory-policy ${policy ?? 'unknown'}: it may drop keys when memory is short. Set it to noeviction.`,
      );
    }
  }
}

/** How long a job of a dead worker can keep the next one out; the sweep of `wake` adds it again after that. (FAULTS 20) */
const DEDUPLICATION_MS: Record<JobName, number> = { drain: 3_000, sweep: 500 };

/** Jobs leave nothing behind: nobody reads them, and the sweep adds whatever is still needed. */
const JOB: JobsOptions = { removeOnComplete: true, removeOnFail: true, attempts: 1 };

/**
 * BullMQ duplicates the connection it is given for its blocking reads, and reconnects a copy that it finds without nodes, which may
 * cross with our closing it: every copy is remembered, and at the end looked at until it has really ended.
 */
function track(connection: Redis | Cluster, all: Set<Redis | Cluster>): void {
  all.add(connection);
  const duplicate = connection.duplicate.bind(connection) as (...args: unknown[]) => Redis | Cluster;
  connection.duplicate = ((...args: unknown[]) => {
    const copy = duplicate(...args);
    track(copy, all);
    return copy;
  }) as typeof connection.duplicate;
}

const CLOSE_LOOKS = 40;
const CLOSE_LOOK_MS = 50;

/** BullMQ as Holdfast uses it: to wake workers and to spread partitions over them. */
export class PartitionQueue {
  private readonly queue: Queue<PartitionJob, unknown, JobName>;
  private readonly connections = new Set<Redis | Cluster>();

  constructor(
    private readonly connection: Redis | Cluster,
    log: Logger,
    prefix: string,
  ) {
    track(connection, this.connections);
    this.queue = new Queue(`${QUEUE_NAME}-${prefix}`, {
      connection: connection,
      prefix: QUEUE_PREFIX,
      defaultJobOptions: JOB,
      // Nobody listens to queue events: keep their stream short.
      streams: { events: { maxLen: 10 } },
    });
    this.queue.on('error', (error) => log.warn({ err: error }, 'queue'));
  }

  /** Adds what is not already waiting or under way. */
  async add(jobs: readonly { name: JobName; partition: number }[]): Promise<void> {
    if (jobs.length === 0) return;
    await this.queue.addBulk(
      jobs.map(({ name, partition }) => ({
        name,
        data: { partition },
        opts: { deduplication: { id: `${name}-${partition}`, ttl: DEDUPLICATION_MS[name] } },
      })),
    );
  }

  /** The work is done: the next job of this kind may come at once. */
  async done(name: JobName, partition: number): Promise<void> {
    await this.queue.removeDeduplicationKey(`${name}-${partition}`);
  }

  worker(
    concurrency: number,
    handle: (name: JobName, partition: number) => Promise<void>,
    log: Logger,
  ): Worker<PartitionJob, void, JobName> {
    const connection = this.connection.duplicate();
    connection.on('error', (error: Error) => log.warn({ err: error }, 'connection of the queue worker'));
    const worker = new Worker<PartitionJob, void, JobName>(
      this.queue.name,
      (job: Job<PartitionJob, void, JobName>) => handle(job.name, job.data.partition),
      {
        connection: connection,
        prefix: QUEUE_PREFIX,
        concurrency,
        // A stalled job is not run again: the sweep adds a new one long before.
        maxStalledCount: 0,
        lockDuration: 30_000,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    worker.on('error', (error) => log.warn({ err: error }, 'queue worker'));
    return worker;
  }

  async close(): Promise<void> {
    await this.queue.close();
    // BullMQ may still be about to reconnect a copy, also one that has ended: from here on none connects again.
    for (const connection of this.connections) connection.connect = () => new Promise<void>(() => undefined);
    for (let look = 0; look < CLOSE_LOOKS; look++) {
      const left = [...this.connections].filter((connection) => connection.status !== 'end');
      if (left.length === 0) return;
      for (const connection of left) connection.disconnect();
      await new Promise((resolve) => setTimeout(resolve, CLOSE_LOOK_MS));
    }
  }
}

import { Queue, Worker, type Job, type JobsOptions } from 'bullmq';
import type { Logger } from 'pino';
import { crc16, SLOTS } from '../../engine/partitions.js';
import { QueueServer } from './server.js';
import { LONGEST_READ_S } from './silence.js';

/** BullMQ's keys all lie under one hash tag: its scripts touch several at once. */
const QUEUE_TAG = 'hfbull';
const QUEUE_PREFIX = `{${QUEUE_TAG}}`;
const QUEUE_NAME = 'partitions';

/** A job only names work; whoever does it looks at the partition itself. */
export type PartitionJob = { partition: number };
export type JobName = 'drain' | 'sweep';

export class QueueRefused extends Error {
  override readonly name = 'QueueRefused';
}

/** How long a cluster that is changing its masters has to have them all back. */
const READY_MS = 30_000;
const READY_LOOK_MS = 250;

/**
 * Rejects with QueueRefused unless every master keeps what it is given: one that evicts keys when memory is short would lose jobs
 * and, where the queue shares the cluster, stock.
 */
async function requireNoEviction(server: QueueServer): Promise<void> {
  for (const endpoint of await server.masters()) {
    const memory = await server.ask(endpoint, (probe) => probe.info('memory'));
    const policy = /maxmemory_policy:(\S+)/.exec(memory)?.[1];
    if (policy !== 'noeviction') {
      throw new QueueRefused(
        `Redis at ${endpoint.host}:${endpoint.port} has maxmemory-policy ${policy ?? 'unknown'}: it may drop keys when memory is short. Set it to noeviction.`,
      );
    }
  }
}

/** How long a job of a dead worker can keep the next one out; the sweep of `wake` adds it again after that. (FAULTS 20) */
const DEDUPLICATION_MS: Record<JobName, number> = { drain: 3_000, sweep: 500 };

/** Jobs leave nothing behind: nobody reads them, and the sweep adds whatever is still needed. */
const JOB: JobsOptions = { removeOnComplete: true, removeOnFail: true, attempts: 1 };

/** What a worker's commands to the queue have left to end in when it stops; then its connections are ended under them. */
const POLITE_MS = 10_000;

/** Takes jobs until it is closed. */
export interface PartitionWorker {
  ready(): Promise<void>;
  /** Takes no more jobs, and resolves when those under way have ended. */
  close(): Promise<void>;
}

/** BullMQ as Holdfast uses it: to wake workers and to spread partitions over them. */
export class PartitionQueue {
  private readonly queue: Queue<PartitionJob, unknown, JobName>;

  private constructor(
    private readonly server: QueueServer,
    private readonly log: Logger,
    prefix: string,
  ) {
    this.queue = new Queue(`${QUEUE_NAME}-${prefix}`, {
      connection: server.client(),
      prefix: QUEUE_PREFIX,
      defaultJobOptions: JOB,
      // Nobody listens to queue events: keep their stream short.
      streams: { events: { maxLen: 10 } },
    });
    this.queue.on('error', (error) => log.warn({ err: error }, 'queue'));
  }

  /**
   * `url`: `redis://host:port[,redis://host:port…]` of a Redis or a Redis Cluster.
   * @throws QueueRefused when it may drop keys; Error when it does not answer.
   */
  static async open(url: string, log: Logger, prefix: string): Promise<PartitionQueue> {
    const server = await QueueServer.open(url, crc16(QUEUE_TAG) % SLOTS);
    try {
      await retried(() => requireNoEviction(server));
      return new PartitionQueue(server, log, prefix);
    } catch (error) {
      await server.close();
      throw error;
    }
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

  /** The work is done, or never will be: the next job of this kind may come at once. */
  async done(name: JobName, partition: number): Promise<void> {
    await this.queue.removeDeduplicationKey(`${name}-${partition}`);
  }

  worker(concurrency: number, handle: (name: JobName, partition: number) => Promise<void>): PartitionWorker {
    const worker = new Worker<PartitionJob, void, JobName>(
      this.queue.name,
      (job: Job<PartitionJob, void, JobName>) => handle(job.name, job.data.partition),
      {
        connection: this.server.client(),
        prefix: QUEUE_PREFIX,
        concurrency,
        drainDelay: LONGEST_READ_S,
        // A stalled job is not run again: the sweep adds a new one long before.
        maxStalledCount: 0,
        lockDuration: 30_000,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    worker.on('error', (error) => this.log.warn({ err: error }, 'queue worker'));
    return {
      ready: async () => void (await worker.waitUntilReady()),
      close: async () => {
        // While the queue's Redis is away its commands would never end; a job that cannot be ended is found stalled, and forgotten.
        const timer = setTimeout(() => void this.server.close(), POLITE_MS);
        await worker.close().finally(() => clearTimeout(timer));
      },
    };
  }

  /** BullMQ leaves clients that it was given, and at times copies of them, open: all their sockets end here. */
  async close(): Promise<void> {
    await this.queue.close();
    await this.server.close();
  }
}

async function retried(work: () => Promise<void>): Promise<void> {
  const end = Date.now() + READY_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof QueueRefused || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, READY_LOOK_MS));
    }
  }
}

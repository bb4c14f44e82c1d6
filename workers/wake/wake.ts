import type { Logger } from 'pino';
import type { PartitionsApi, PartitionStatus } from '../../engine/types.js';
import type { Drainer } from '../drain/drain.js';
import type { Halts } from '../drain/halts.js';
import type { WorkerMetrics } from '../metrics.js';
import type { JobName, PartitionQueue } from './queue.js';
import { Stuck } from './stuck.js';

export interface WakeOptions {
  readonly partitions: PartitionsApi;
  readonly queue: Pick<PartitionQueue, 'add' | 'done'>;
  readonly drainer: Drainer;
  readonly halts: Halts;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  /** Does a job here and now; used while the queue cannot be reached, and for what it does not have done. */
  readonly handle: (name: JobName, partition: number) => Promise<void>;
  /** Time between two looks; default 60 ms. */
  readonly intervalMs?: number;
  /** After so long without a step forward work is done here, and its job let into the queue again; default 5 s. */
  readonly stuckMs?: number;
}

interface Wanted {
  readonly name: JobName;
  readonly partition: number;
  /** What is to be done: another one where some of it was done. */
  readonly mark: string;
}

/** A queue that has not taken the jobs by then is passed by, until it has taken them or for so long. */
const QUEUE_MS = 1_000;
const PASSED_BY_MS = 10_000;
const STUCK_MS = 5_000;
/** Of what is stuck, so many are done here at once: where all workers are busy it only looks stuck, and they have enough to do. */
const STUCK_AT_ONCE = 4;

/**
 * Finds partitions with something to do and enqueues a job for each. Every worker process has one; nothing else decides what is
 * to be done, so that a lost, stalled or doubled job does not matter. (FAULTS 20)
 */
export class Wake {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private looking: Promise<void> | undefined;
  /** Partitions whose node did not answer. They are asked for beside the others: a node that hangs makes nobody else wait. */
  private readonly away = new Set<number>();
  private lookingForAway: Promise<void> | undefined;
  /** Jobs that the queue has not taken in time, and until when it is left alone. */
  private unanswered: Promise<void> | undefined;
  private passedByUntil = 0;
  private readonly behindSince = new Map<number, number>();
  private readonly local = new Set<string>();
  private readonly stuck: Stuck;
  /** When the last look succeeded, ms; for readiness. */
  lastLook = 0;

  constructor(private readonly options: WakeOptions) {
    this.stuck = new Stuck(options.stuckMs ?? STUCK_MS);
  }

  start(): void {
    const tick = () => {
      this.looking = this.look().finally(() => {
        if (!this.stopped) this.timer = setTimeout(tick, this.options.intervalMs ?? 60);
      });
    };
    tick();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await Promise.all([this.looking, this.lookingForAway]);
  }

  private async look(): Promise<void> {
    const { away } = this;
    if (away.size === 0) return this.lookAt(undefined);
    this.lookingForAway ??= this.lookAt([...away]).finally(() => (this.lookingForAway = undefined));
    await this.lookAt(this.all().filter((partition) => !away.has(partition)));
  }

  /** @param asked undefined: all */
  private async lookAt(asked: readonly number[] | undefined): Promise<void> {
    const { partitions, log, metrics } = this.options;
    try {
      const statuses = await partitions.status(asked);
      this.lastLook = Date.now();
      if (statuses.length < (asked?.length ?? partitions.count))
        for (const partition of asked ?? this.all()) this.away.add(partition);
      for (const { partition } of statuses) this.away.delete(partition);
      metrics.unreachable.set(this.away.size);
      const jobs = statuses.flatMap((status) => this.jobsOf(status));
      if (jobs.length === 0 || this.stopped) return;
      await this.enqueue(jobs);
      this.unstick(jobs);
    } catch (error) {
      metrics.failures.inc({ step: 'look' });
      log.warn({ err: error }, 'looking for work failed');
    }
  }

  private all(): number[] {
    return Array.from({ length: this.options.partitions.count }, (_, partition) => partition);
  }

  private jobsOf(status: PartitionStatus): Wanted[] {
    const { drainer, halts } = this.options;
    const { partition } = status;
    const jobs: Wanted[] = [];
    const want = (name: JobName, wanted: boolean, mark: string): void => {
      if (wanted) jobs.push({ name, partition, mark });
      else this.stuck.forget(`${name}-${partition}`);
    };
    const behind = status.seq > status.persisted.seq;
    this.measure(status, behind);
    const rests = drainer.isActive(partition) || drainer.rests(partition) || halts.rests(partition);
    const { persisted, nextDue } = status;
    want('drain', behind && !rests, `${persisted.epoch}-${persisted.seq}`);
    want('sweep', status.open && nextDue !== undefined && nextDue <= Date.now(), String(nextDue));
    return jobs;
  }

  private measure(status: PartitionStatus, behind: boolean): void {
    const { metrics } = this.options;
    const { partition } = status;
    if (behind) {
      const since = this.behindSince.get(partition) ?? Date.now();
      this.behindSince.set(partition, since);
      metrics.lagMs.set({ partition }, Date.now() - since);
    } else if (this.behindSince.delete(partition)) {
      metrics.lagMs.set({ partition }, 0);
    }
    metrics.lagEvents.set({ partition }, Math.max(0, status.seq - status.persisted.seq));
  }

  /** What the queue took and does not have done is done here, and its job is let in again. */
  private unstick(jobs: readonly Wanted[]): void {
    const { queue, metrics, log } = this.options;
    const now = performance.now();
    const stuck = jobs.filter(({ name, partition, mark }) => this.stuck.isStuck(`${name}-${partition}`, mark, now));
    if (stuck.length === 0) return;
    metrics.failures.inc({ step: 'queue' }, stuck.length);
    log.warn({ jobs: stuck.slice(0, STUCK_AT_ONCE), of: stuck.length }, 'the queue does not have these jobs done');
    for (const { name, partition } of stuck) {
      if (this.local.size < STUCK_AT_ONCE) this.runLocally(name, partition);
      // A queue that does not answer is found out when it is given jobs.
      void queue.done(name, partition).catch(() => undefined);
    }
  }

  private async enqueue(jobs: readonly Wanted[]): Promise<void> {
    if (await this.taken(jobs)) return;
    // The queue lives on one shard, the work on all of them: while it is away, do the work without it.
    this.options.metrics.failures.inc({ step: 'enqueue' });
    for (const job of jobs) this.runLocally(job.name, job.partition);
  }

  /** Whether the queue has taken the jobs. While it has not answered it is not given ever more, all of which it would take in the end. */
  private async taken(jobs: readonly Wanted[]): Promise<boolean> {
    if (this.unanswered && Date.now() < this.passedByUntil) return false;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, QUEUE_MS, 'late');
    });
    try {
      const adding = this.options.queue.add(jobs);
      if ((await Promise.race([adding, late])) !== 'late') return true;
      this.passBy(adding);
    } catch (error) {
      this.options.log.warn({ err: error }, 'the queue refuses jobs');
    } finally {
      clearTimeout(timer);
    }
    return false;
  }

  private passBy(adding: Promise<void>): void {
    const unanswered = adding
      .catch(() => undefined)
      .finally(() => {
        if (this.unanswered === unanswered) this.unanswered = undefined;
      });
    this.unanswered = unanswered;
    this.passedByUntil = Date.now() + PASSED_BY_MS;
  }

  private runLocally(name: JobName, partition: number): void {
    const key = `${name}-${partition}`;
    if (this.local.has(key)) return;
    this.local.add(key);
    void this.options
      .handle(name, partition)
      .catch(() => undefined)
      .finally(() => this.local.delete(key));
  }
}

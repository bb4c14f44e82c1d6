import type { PartitionsApi, PartitionStatus } from '../../engine/types.js';
import type { Position } from './check.js';
import type { DrainerOptions } from './drain.js';
import { StaleHistory } from './errors.js';
import { readPosition } from './persist.js';
import type { Run } from './run.js';

/**
 * Looks into logs that are not as they should be: refused, or empty where somebody thought otherwise. What is found out decides whether
 * the partition goes on, is left to recovery, or halts. It is asked of the partition's node alone and beside the lane, which leaves the
 * run alone meanwhile: a node that hangs keeps nobody else waiting.
 */
export class Doubts {
  private readonly partitions: PartitionsApi;

  constructor(private readonly options: Pick<DrainerOptions, 'partitions' | 'pool' | 'halts'>) {
    this.partitions = options.partitions;
  }

  /** A batch was refused, or its log cannot be read. */
  refused(run: Run, error: Error): void {
    run.events = undefined;
    this.beside(run, () => this.whyRefused(run, error));
  }

  /** Nothing to drain. */
  empty(run: Run): void {
    run.events = undefined;
    if (!run.settled) this.beside(run, () => this.whyEmpty(run));
  }

  private beside(run: Run, look: () => Promise<void>): void {
    run.busy = true;
    void look()
      .catch((error: unknown) => run.fail(error))
      .finally(() => (run.busy = false));
  }

  /**
   * What can be persisted is, in smaller steps, and the partition halts at the entry that cannot: but only where the log is the one
   * of an open partition. Between a failover and its recovery the log may be one that never happened; recovery decides. (FAULTS 4)
   */
  private async whyRefused(run: Run, error: Error): Promise<void> {
    const before = run.position;
    run.position = await readPosition(this.options.pool, run.partition);
    if (error instanceof StaleHistory) return run.end('fenced');
    // Somebody else has drained (and trimmed) meanwhile: then the log only looked as if it had a gap.
    if (!before || before.seq !== run.position.seq || before.fence !== run.position.fence) return;
    run.suspect = true;
    const seen = run.seen;
    run.seen = await this.statusOf(run.partition);
    if (!isOpen(run.seen, run.position)) return run.end('fenced');
    // What was refused must have been read while it was as it is now: only then it is what will be read again and again.
    if (run.shrink() || !isSameLife(seen, run.seen)) return;
    await this.options.halts.halt(run.position, error.message);
    run.end('halted');
  }

  /**
   * A worker died between commit and trim (then the trim is made up for), or the log was trimmed past what is persisted (then the
   * partition halts).
   */
  private async whyEmpty(run: Run): Promise<void> {
    const status = await this.statusOf(run.partition);
    const position = await readPosition(this.options.pool, run.partition);
    run.settled = true;
    run.position = position;
    const open = isOpen(status, position);
    run.marked = open ? status.persisted.seq : position.seq;
    if (open && status.seq > position.seq) await this.lookForGap(run, status, position);
  }

  private async lookForGap(run: Run, status: PartitionStatus, position: Position): Promise<void> {
    const { partition } = run;
    const events = await this.partitions.readLog(partition, position, 1);
    const again = await readPosition(this.options.pool, partition);
    run.position = again;
    if (events.length > 0 || again.seq !== position.seq || again.fence !== position.fence) return;
    if (!isSameLife(status, await this.statusOf(partition))) return;
    await this.options.halts.halt(position, `events ${position.seq + 1} to ${status.seq} are missing from the log`);
    run.end('halted');
  }

  private async statusOf(partition: number): Promise<PartitionStatus | undefined> {
    return (await this.partitions.status([partition]))[0];
  }
}

/** Recovery has been here: the partition is open, and not under an epoch older than the newest announced. */
function isOpen(status: PartitionStatus | undefined, position: Position): status is PartitionStatus {
  return status !== undefined && status.open && status.epoch >= position.fence;
}

function isSameLife(one: PartitionStatus | undefined, other: PartitionStatus | undefined): boolean {
  return (
    one !== undefined &&
    other !== undefined &&
    one.open &&
    other.open &&
    one.node === other.node &&
    one.epoch === other.epoch
  );
}

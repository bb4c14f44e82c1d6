/**
 * Reversal records: what this engine had told callers and Redis has forgotten since is written into the partition's log, as events of
 * kind `reversed`, and so comes into the ledger. (FAULTS 3, 4, 5)
 *
 * Looked at with each look at an open partition, so about once a second, and right after one was found closed.
 */
import type { Batch } from '../batch/batch.js';
import type { Caller } from '../caller.js';
import { parsePosition } from '../redis/durable.js';
import { limits } from '../scripts/generated/limits.js';
import { partitionReverse, type PartitionReverseOp } from '../scripts/generated/partition-reverse.js';
import { statuses } from '../scripts/generated/statuses.js';
import { REPLY_HEADER, type ReplyValue } from '../scripts/script.js';
import type { EngineOptions, ReversalCounts } from '../types.js';
import { type Answer, Answered, readOpenings } from './answered.js';
import { hasEffects, traceOf } from './effects.js';
import { POSTGRES } from './open.js';

const OK = statuses.ok.number;
const EXISTS = statuses.exists.number;
/** Not to be looked for. */
const GONE = { look: 0, states: 0 };
const REPORT_TIMEOUT_MS = 10_000;
/** Kinds whose loss may leave a reservation over several partitions half of what was told. */
const OF_RESERVATIONS: ReadonlySet<string> = new Set([
  'held',
  'confirmed',
  'released',
  'returned',
  'claim_sealed',
  'claim_confirmed',
  'claim_released',
  'claim_returned',
]);

/** What the `meta` of an open partition says about its past. */
export interface Past {
  readonly persistence: string;
  readonly persisted: string;
  readonly openings: string;
}

interface Report {
  answers: Answer[];
  running: boolean;
}

export class Reversals {
  private readonly answered: Answered;
  private readonly reports = new Map<number, Report>();
  private recorded = 0;
  private listener: (ids: Iterable<string>) => void = () => undefined;
  private told = 0;
  private closed = false;

  constructor(
    private readonly caller: () => Caller,
    private readonly notice: NonNullable<EngineOptions['onNotice']>,
    most?: number,
  ) {
    this.answered = new Answered(most);
  }

  get counts(): ReversalCounts {
    let unrecorded = 0;
    for (const { answers } of this.reports.values()) unrecorded += answers.length;
    const { size, forgotten } = this.answered;
    return { kept: size, forgotten, recorded: this.recorded, unrecorded };
  }

  /** @param listener hears which ids lost something that was answered, once that is on record */
  onRecorded(listener: (ids: Iterable<string>) => void): void {
    this.listener = listener;
  }

  /** A script call was answered. On the hot path. */
  ran(batch: Batch, cells: readonly ReplyValue[]): void {
    const { script, partition, pendings } = batch;
    if (!this.answered.keeps(partition) || batch.once || !hasEffects(script)) return;
    const done: unknown[] = [];
    let found: unknown[] | undefined;
    for (let i = 0, at = REPLY_HEADER; i < pendings.length; at += 1 + script.width) {
      const status = cells[at + 1];
      const into = status === OK ? done : status === EXISTS ? (found ??= []) : undefined;
      for (const end = i + (cells[at] as number); i < end; i++) into?.push(pendings[i]!.op);
    }
    if (done.length === 0 && !found) return;
    this.answered.add(script, partition, { epoch: cells[1] as number, seq: cells[2] as number }, done, found);
  }

  /** The partition is open, and this is its past. */
  look(partition: number, { persistence, persisted, openings }: Past): void {
    this.answered.keep(partition, persistence === POSTGRES || persisted !== '');
    const lost = this.answered.judge(partition, parsePosition(persisted), readOpenings(openings));
    const report = this.reports.get(partition);
    if (lost.length > 0) {
      this.notice({
        level: 'warn',
        message: 'answers that were not safe yet are gone; they are recorded as reversed',
        partition,
        answers: lost.length,
      });
      if (report) for (const answer of lost) report.answers.push(answer);
      else this.reports.set(partition, { answers: lost, running: false });
    }
    if (this.reports.has(partition)) void this.record(partition);
    const { forgotten } = this.answered;
    if (forgotten > this.told)
      this.notice({
        level: 'warn',
        message: 'more answers wait for Postgres than are remembered: if they are lost, no reversal is recorded',
        answers: forgotten - this.told,
      });
    this.told = forgotten;
  }

  close(): void {
    this.closed = true;
    const { unrecorded } = this.counts;
    if (unrecorded > 0)
      this.notice({ level: 'error', message: 'closed before all reversals were recorded', answers: unrecorded });
  }

  /** What cannot be recorded now is tried again with the next look. */
  private async record(partition: number): Promise<void> {
    const report = this.reports.get(partition)!;
    if (report.running) return;
    report.running = true;
    try {
      while (report.answers.length > 0 && !this.closed) {
        const page = report.answers.slice(0, limits.max_ops);
        const { result, epoch, seq } = await this.caller().callOnce(
          partitionReverse,
          partition,
          undefined,
          page.map(operation),
          { ack: 'replicated', timeoutMs: REPORT_TIMEOUT_MS },
        );
        report.answers.splice(0, page.length);
        const written = page.filter((_, index) => result[index]?.status === 'ok');
        this.recorded += written.length;
        this.listener(new Set(page.filter(({ kind }) => OF_RESERVATIONS.has(kind)).map(({ id }) => id)));
        if (written.length > 0) this.answered.addReport(partition, { epoch, seq }, written);
      }
      this.reports.delete(partition);
    } catch (error) {
      if (!this.closed)
        this.notice({
          level: 'warn',
          message: 'reversals could not be recorded yet',
          partition,
          answers: report.answers.length,
          problem: (error as Error).message,
        });
    } finally {
      report.running = false;
    }
  }
}

function operation({ kind, id, ref, quantity, actor, epoch, seq, look }: Answer): PartitionReverseOp {
  return {
    id,
    ref,
    quantity,
    lostEpoch: epoch,
    lostSeq: seq,
    ...(look ? traceOf(kind) : GONE),
    actor,
    detail: JSON.stringify({ kind, ref, epoch, seq }),
  };
}

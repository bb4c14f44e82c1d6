/**
 * How it is asked whether an answer survives the loss of a node: the one place that says WAIT or WAITAOF and reads the reply.
 * `replicated` means every replica of the shard, as many as the topology knows; where the operator wants it, that each of them and
 * the master have it on disk, too. Replicas that are known to be away are not waited for: the answer then honestly says `executed`.
 */
import type { Reply } from './connection.js';
import { bulkCommand } from './resp.js';
import type { Master } from './topology.js';

export interface WaitLimits {
  /** `replicated` means on disk. */
  readonly onDisk: boolean;
  readonly waitMs: number;
  readonly shortWaitMs: number;
}

/** What was asked behind one pipeline. */
export interface AskedWait {
  /** As RESP. */
  readonly command: string;
  /** Replicas that must have it, as the topology was when it was sent; 0: only the disk of the master is asked. */
  readonly replicas: number;
  readonly onDisk: boolean;
  readonly timeoutMs: number;
  /** Whether it tells something of the shard when it falls short. */
  readonly telling: boolean;
}

/** Hears of what fell short, or was answered with an error. */
export type FellShort = (master: Master, asked: AskedWait, reply: Reply | Error) => void;

/** Whether all nodes of the shard have what was written before: WAIT answers the number of replicas, WAITAOF of disks here and there. */
export function hasAll(asked: AskedWait, reply: Reply | Error): boolean {
  if (!asked.onDisk) return typeof reply === 'number' && reply >= asked.replicas;
  const [local, replicas] = Array.isArray(reply) ? reply : [];
  return local === 1 && typeof replicas === 'number' && replicas >= asked.replicas;
}

/** What is asked of one node, from one time to the next. */
export class ReplicaWait {
  private behind = false;
  private nextLongAt = 0;

  constructor(private readonly limits: WaitLimits) {}

  /**
   * Undefined: there is nothing that could be waited for.
   * @param left ms until the last caller must be answered
   */
  ask({ replicas, onlineReplicas }: Master, left: number, now: number): AskedWait | undefined {
    const { onDisk, waitMs } = this.limits;
    if (replicas === 0 && !onDisk) return undefined;
    // Never 0, which would be for ever.
    const timeoutMs = Math.max(1, Math.floor(Math.min(left, this.most(now))));
    const wanted = replicas === 0 ? 0 : Math.max(1, onlineReplicas);
    const words = onDisk ? ['WAITAOF', 1, wanted, timeoutMs] : ['WAIT', wanted, timeoutMs];
    // A caller that gives it less time than a disk takes learns nothing about the disk.
    return { command: bulkCommand(words), replicas, onDisk, timeoutMs, telling: !onDisk || timeoutMs >= waitMs };
  }

  /** A WAIT holds up its lane; after one that fell short the next ones are short, until all replicas answer again. */
  answered(asked: AskedWait, all: boolean): void {
    if (all) this.behind = false;
    else if (asked.telling) this.behind = true;
  }

  /** A short one is never answered by a disk that is written once a second: so that it is noticed when all is well, some are long. */
  private most(now: number): number {
    const { onDisk, waitMs, shortWaitMs } = this.limits;
    if (!this.behind) return waitMs;
    if (!onDisk || now < this.nextLongAt) return shortWaitMs;
    this.nextLongAt = now + waitMs;
    return waitMs;
  }
}

/**
 * How WAIT is asked. `replicated` means every replica of the shard, as many as the topology knows; the reply is checked.
 * Replicas that are known to be away are not waited for: the answer then honestly says `executed`.
 */
import type { Master } from './topology.js';

export class ReplicaWait {
  private behind = false;

  constructor(private readonly limits: { readonly waitMs: number; readonly shortWaitMs: number }) {}

  /** How many replicas to wait for. */
  ask(master: Master): number {
    return Math.max(1, master.onlineReplicas);
  }

  /** Timeout of the WAIT in ms, never 0 (which would be for ever). `left`: until the last caller must be answered. */
  timeout(left: number): number {
    const most = this.behind ? this.limits.shortWaitMs : this.limits.waitMs;
    return Math.max(1, Math.floor(Math.min(left, most)));
  }

  /** A WAIT holds up its lane; after one that fell short the next ones are short, until all replicas answer again. */
  answered(all: boolean): void {
    this.behind = !all;
  }
}

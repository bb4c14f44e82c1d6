/** Replicas that still name the master they had as theirs, after another of its replicas has taken its place. */
import type { NodeView } from './nodes.js';

/** They follow the new master with the first word from it. After that long whoever has not is nobody's replica. */
const SETTLED_MS = 30_000;

/**
 * Who has taken the place of which master. Right after a promotion the views name the other replicas under the old master: counted so,
 * the new one had none, nothing would be waited for, and what it says would be taken for as safe as it can be.
 */
export class Orphans {
  private readonly places = new Map<string, { readonly heir: string; readonly until: number }>();

  /**
   * @param before ids of the masters that served the partitions, by partition
   * @param after the same now
   * @param now ms of a clock that only grows
   */
  follow(before: readonly (string | undefined)[], after: readonly (string | undefined)[], now: number): void {
    for (const [master, { until }] of this.places) if (now >= until) this.places.delete(master);
    for (const [partition, master] of before.entries()) {
      const heir = after[partition];
      if (master && heir && heir !== master) this.places.set(master, { heir, until: now + SETTLED_MS });
    }
    for (const master of after) if (master) this.places.delete(master);
  }

  /** The master a replica is about to follow; undefined where the one it names is a master still, or has gone too long ago. */
  heirOf({ masterId }: NodeView, nodes: ReadonlyMap<string, NodeView>): string | undefined {
    let heir: string | undefined;
    for (let id = masterId; this.places.has(id); id = heir) {
      const former = nodes.get(id);
      // Emptied by whoever moves slots, and well: its replicas stay with it.
      if (former?.master && former.online) break;
      heir = this.places.get(id)!.heir;
    }
    return heir;
  }
}

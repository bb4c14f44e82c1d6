/** What a fault is. One file each in this folder, exporting `fault`; `index.ts` lists them. */
import type { Rng } from '../rng.js';
import type { World } from '../world.js';

export type { Rng, World };

/** Notes what was done; stands with its time in the run's `nemesis.jsonl` and in the explanation of a violation. */
export type FaultLog = (what: string, fields?: Readonly<Record<string, unknown>>) => void;

export interface Fault {
  /** In `--faults`: lower case, dashes. */
  readonly name: string;
  /** One line for the table. */
  readonly describe: string;
  /** Rows of the list of faults (docs/reliability.md) it stands for. */
  readonly rows: readonly number[];
  /**
   * What a correct system may lose under it, for the checker. `none`: nothing (processes stall, links break, replies vanish).
   * `one-node`: what one node alone had (`executed` may be reversed; `replicated` must survive).
   * `cluster`: what Postgres did not have (only `durable` must survive).
   */
  readonly loses: 'none' | 'one-node' | 'cluster';
  /** It moves clocks: order by time and deadlines are then not checked. */
  readonly clocks?: boolean;
  /** How long it lasts between `inject` and `heal`, least and most, ms. Default 1,000 to 4,000. */
  readonly dwellMs?: readonly [number, number];
  /** Why it cannot be done here, said loudly; undefined if it can. */
  needs?(world: World): string | undefined;
  /**
   * Breaks something and returns what mends it. Resolves when it is broken; must not wait for the end of the fault. The run heals
   * after a while of its own choosing; `heal` must be complete: what it does not mend stays broken for the next fault.
   * Throws when it could not be provoked (counted as not injected, not as a violation).
   */
  inject(world: World, rng: Rng, log: FaultLog): Promise<() => Promise<void>>;
}

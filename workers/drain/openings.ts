import type { LogEvent } from '../../engine/types.js';

/** An epoch as recovery announced it: its events follow event `after`, the last one of epoch `parent` that counts. */
export interface Opening {
  readonly epoch: number;
  readonly after: number;
  /** Unknown (null) for what was announced before openings were kept: then it follows whatever came before. */
  readonly parent: number | null;
}

/** What of a position tells its history: the newest epoch announced, the last one persisted, what was announced in between. */
export interface Announced {
  readonly fence: number;
  readonly epoch: number;
  readonly openings: readonly Opening[];
}

interface CutOffs {
  /** Up to which event each epoch counts that a later one is known to have followed. */
  readonly known: ReadonlyMap<number, number>;
  /** Up to which event the epochs before `before` count, of which nobody noted how they followed each other. */
  readonly rest: number;
  readonly before: number;
}

/**
 * Goes back from the newest opening. An epoch that is in neither part is one that nothing followed: its master had been cut off, or
 * a recovery announced it and died before it opened. Epochs that opened while there was no worker were announced to nobody: where
 * the way ends at one of them, those before it are believed up to where the oldest opening known begins.
 */
function cutOffs({ fence, epoch, openings }: Announced): CutOffs {
  const byEpoch = new Map(openings.map((opening) => [opening.epoch, opening]));
  const known = new Map<number, number>();
  let opening = byEpoch.get(fence);
  while (opening) {
    const { parent, after } = opening;
    if (parent === null) return { known, rest: after, before: opening.epoch };
    known.set(parent, after);
    opening = byEpoch.get(parent);
    // The openings end at the epoch of the position: before it nothing is left to persist.
    if (!opening && parent > epoch) return { known, rest: after, before: parent };
  }
  return { known, rest: -1, before: 0 };
}

/**
 * Whether every event is one of the history that recovery went on with: of the newest epoch announced (or one that nobody announced,
 * where no worker was yet), or of one before it and from before its successor began. Anything else was written by a master that
 * had been cut off, however many failovers ago. `events` are in order of their epochs. (FAULTS 3, 4)
 */
export function areOfOneHistory(position: Announced, events: readonly LogEvent[]): boolean {
  const newest = position.fence;
  if (events.length === 0 || events[0]!.epoch >= newest) return true;
  const { known, rest, before } = cutOffs(position);
  return events.every(({ epoch, seq }) => epoch >= newest || seq <= (known.get(epoch) ?? (epoch < before ? rest : -1)));
}

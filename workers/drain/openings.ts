import type { LogEvent } from '../../engine/types.js';

/** An epoch as recovery announced it: its events follow event `after`, the last one of epoch `parent` that counts. */
export interface Opening {
  readonly epoch: number;
  readonly after: number;
  /** Unknown (null) for what was announced before openings were kept: then it follows whatever came before. */
  readonly parent: number | null;
}

/**
 * Up to which event each older epoch counts, going back from the newest opening. An epoch that is not in it is one that nothing
 * followed: its master had been cut off, or a recovery announced it and died before it opened.
 */
function cutOffs(newest: number, openings: readonly Opening[]): { known: Map<number, number>; rest: number } {
  const byEpoch = new Map(openings.map((opening) => [opening.epoch, opening]));
  const known = new Map<number, number>();
  let opening = byEpoch.get(newest);
  while (opening) {
    if (opening.parent === null) return { known, rest: opening.after };
    known.set(opening.parent, opening.after);
    opening = byEpoch.get(opening.parent);
  }
  return { known, rest: -1 };
}

/**
 * Whether every event is one of the history that recovery went on with: of the newest epoch announced (or one that nobody announced,
 * where no worker was yet), or of one before it and from before its successor began. Anything else was written by a master that
 * had been cut off, however many failovers ago. `events` are in order of their epochs. (FAULTS 3, 4)
 * @param openings those announced since the epoch of the last event persisted
 */
export function areOfOneHistory(newest: number, openings: readonly Opening[], events: readonly LogEvent[]): boolean {
  if (events.length === 0 || events[0]!.epoch >= newest) return true;
  const { known, rest } = cutOffs(newest, openings);
  return events.every(({ epoch, seq }) => epoch >= newest || seq <= (known.get(epoch) ?? rest));
}

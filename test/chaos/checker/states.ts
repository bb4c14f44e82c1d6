/** What a reservation was, and when: as its home decides, where callers' questions about it are answered. */
import { partitionOf } from '../final/redis.js';
import type { Movement } from '../final/types.js';
import { type Checking, whenMade } from './context.js';
import { KIND } from './kinds.js';

export type State = 'none' | 'held' | 'confirmed' | 'released' | 'expired' | 'returned';

export interface Moment {
  /** When it began, at the earliest and at the latest: whatever the clock of its node was. */
  readonly at: readonly [number, number];
  readonly state: State;
  readonly deadline: number;
}

const STATES: Readonly<Record<number, State>> = {
  // Before it is complete there is no reservation.
  [KIND.claimOpened]: 'none',
  [KIND.claimAborted]: 'none',
  [KIND.claimSealed]: 'held',
  [KIND.claimExtended]: 'held',
  [KIND.claimConfirmed]: 'confirmed',
  [KIND.claimReleased]: 'released',
  [KIND.claimExpired]: 'expired',
  [KIND.claimReturned]: 'returned',
  [KIND.held]: 'held',
  [KIND.extended]: 'held',
  [KIND.confirmed]: 'confirmed',
  [KIND.released]: 'released',
  [KIND.expired]: 'expired',
  [KIND.aborted]: 'none',
};

/** In the order in which its home decided. */
export function momentsOf(checking: Pick<Checking, 'model' | 'partitions' | 'faults'>, id: string): Moment[] {
  const { model, partitions } = checking;
  const home = partitionOf(id, partitions);
  const left = new Map<string, number>();
  const moments: Moment[] = [];
  for (const event of model.byId.get(id) ?? []) {
    if (event.partition !== home || (event.kind < KIND.claimOpened && event.attempt > 0)) continue;
    const state = event.kind === KIND.returned ? returned(left, event) : STATES[event.kind];
    if (event.kind === KIND.held) left.set(event.ref, event.quantity);
    if (state) moments.push({ at: whenMade(checking, event), state, deadline: event.deadline });
  }
  return moments;
}

function returned(left: Map<string, number>, { ref, quantity }: Movement): State {
  left.set(ref, (left.get(ref) ?? 0) - quantity);
  return [...left.values()].every((units) => units <= 0) ? 'returned' : 'confirmed';
}

/** Everything that it was at any time from one moment to another; a hold past its deadline is expired, swept or not. */
export function statesDuring(moments: readonly Moment[], from: number, to: number): Set<State> {
  const states = new Set<State>();
  if (moments.length === 0 || moments[0]!.at[1] > from) states.add('none');
  for (const [index, { at, state, deadline }] of moments.entries()) {
    const until = moments[index + 1]?.at[1] ?? Infinity;
    if (at[0] > to || until < from) continue;
    if (state !== 'held' || deadline > from) states.add(state);
    if (state === 'held' && deadline <= Math.min(until, to)) states.add('expired');
  }
  return states;
}

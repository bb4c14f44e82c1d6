/** Point 9, as callers see it: a hold lasts at least as long as was asked, from before it was asked for. */
import { type Checking, CLOCK_MS, clocksMovedDuring } from './context.js';
import { KIND } from './kinds.js';

/** So long after its deadline a hold has ended in any case, ms. */
const ENDED_MS = 60_000;

export function checkDeadlines(checking: Checking): void {
  const { calls, effects, report } = checking;
  const asked = firstAsked(checking);
  for (const call of calls) {
    const { request, answer, beganWall } = call;
    if (request.op !== 'reserve' || answer?.outcome !== 'ok' || effects.missing(call) !== undefined) continue;
    const made = effects.reservation(effects.idOf(call)!);
    const ends = [made!.claim, ...made!.parts].flatMap((one) => one?.events ?? []);
    for (const event of ends) {
      if (event.kind !== KIND.expired && event.kind !== KIND.claimExpired) continue;
      const first = asked.get(effects.idOf(call)!) ?? beganWall;
      const until = first + request.holdSeconds * 1000;
      if (event.at >= until - CLOCK_MS) continue;
      // Its deadline is by the clock of its node when it was held, and its end by the clock of then.
      if (clocksMovedDuring(checking, first, until + ENDED_MS)) continue;
      report({
        point: 9,
        what: `call ${call.n} asked for ${request.holdSeconds} s at ${beganWall}, and the hold expired at ${event.at}`,
        ids: [effects.idOf(call)!],
        calls: [call],
        events: [event],
      });
    }
  }
}

/** When each reservation was asked for first: a repetition, however late, is about the hold that the first call made. */
function firstAsked({ calls, effects }: Checking): ReadonlyMap<string, number> {
  const first = new Map<string, number>();
  for (const call of calls) {
    const id = call.request.op === 'reserve' ? effects.idOf(call) : undefined;
    if (id !== undefined) first.set(id, Math.min(first.get(id) ?? Infinity, call.beganWall));
  }
  return first;
}

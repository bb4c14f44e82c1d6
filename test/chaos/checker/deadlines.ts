/** Point 9, as callers see it: a hold lasts at least as long as was asked, from before it was asked for. */
import { type Checking, CLOCK_MS, clocksMovedDuring } from './context.js';
import { KIND } from './kinds.js';

export function checkDeadlines(checking: Checking): void {
  const { calls, effects, report } = checking;
  for (const call of calls) {
    const { request, answer, beganWall } = call;
    if (request.op !== 'reserve' || answer?.outcome !== 'ok' || effects.missing(call) !== undefined) continue;
    const made = effects.reservation(effects.idOf(call)!);
    const ends = [made!.claim, ...made!.parts].flatMap((one) => one?.events ?? []);
    for (const event of ends) {
      if (event.kind !== KIND.expired && event.kind !== KIND.claimExpired) continue;
      const first = firstAsked(checking, call);
      if (event.at >= first + request.holdSeconds * 1000 - CLOCK_MS) continue;
      // Its deadline is by the clock of its node when it was held.
      if (clocksMovedDuring(checking, first, Math.max(event.at, call.endedWall!))) continue;
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

/** A repetition is about the hold that the first call made. */
function firstAsked({ calls, effects }: Checking, call: { readonly n: number; readonly beganWall: number }): number {
  const id = effects.idOf(calls[call.n]!);
  let first = call.beganWall;
  for (let n = call.n - 1; n >= 0 && calls[n]!.beganWall > call.beganWall - 120_000; n--) {
    const other = calls[n]!;
    if (other.request.op === 'reserve' && effects.idOf(other) === id) first = other.beganWall;
  }
  return first;
}

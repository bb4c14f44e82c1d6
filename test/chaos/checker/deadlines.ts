/** Point 9, as callers see it: a hold lasts at least as long as was asked, from before it was asked for; and not much longer. */
import { type Checking, CLOCK_MS, clocksMovedDuring, type FaultSpan, whenMade } from './context.js';
import { KIND, SWEEP_ACTOR } from './kinds.js';

/** So long after its deadline a hold has ended in any case, ms. */
const ENDED_MS = 60_000;
/** The sweep looks about once a second: where nothing is broken, it has come to a hold so long after its deadline, ms. */
const SWEPT_MS = 15_000;

export function checkDeadlines(checking: Checking): void {
  checkSwept(checking);
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

/** What the sweep ended it ended soon after the deadline; while something was broken does not count. */
function checkSwept(checking: Checking): void {
  const { model, faults, report } = checking;
  const alone = [...model.holds.values()].flat().filter(({ attempt }) => attempt === 0);
  for (const { id, deadline, events } of [...alone, ...[...model.claims.values()].flat()]) {
    const expired = events.find(
      ({ kind, actor }) => (kind === KIND.expired || kind === KIND.claimExpired) && actor === SWEEP_ACTOR,
    );
    if (!expired || expired.at - deadline <= SWEPT_MS) continue;
    // A deadline and an end by clocks that may have been off cannot be compared.
    if (events.some((event) => whenMade(checking, event).some((time) => time !== event.at))) continue;
    const late = quietBetween(faults, deadline, expired.at);
    if (late <= SWEPT_MS) continue;
    report({
      point: 9,
      what: `${id} expired ${expired.at - deadline} ms after its deadline, ${Math.round(late)} ms of them while nothing was broken`,
      ids: [id],
      events: [expired],
    });
  }
}

/** How much of a time (by the wall, ms) was outside of all faults, of which there is one at a time. */
function quietBetween(faults: readonly FaultSpan[], from: number, to: number): number {
  return faults.reduce(
    (left, { fromWall, toWall }) => left - Math.max(0, Math.min(to, toWall) - Math.max(from, fromWall)),
    to - from,
  );
}

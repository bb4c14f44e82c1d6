/**
 * Points 2 and 4 over partitions: the parts of a reservation share its fate, all its lines. And point 9 at the end: nothing is
 * held past its deadline.
 */
import { partitionOf } from '../final/redis.js';
import { keyOf } from '../final/types.js';
import { type Checking, CLOCK_MS, clocksMovedDuring } from './context.js';
import { sameLines } from './effects.js';
import { KIND, STATE, stateName, SWEEP_ACTOR } from './kinds.js';
import { type ClaimLife, type Life, present } from './model.js';

/** The sweep looks about once a second; a node that comes back is looked at again. */
const SWEEP_MS = 15_000;

const KEPT: readonly number[] = [STATE.confirmed, STATE.returned];
const BACK: readonly number[] = [STATE.released, STATE.expired];

/** Its units are back on sale; also where it was sold by a decision that its home has lost, and the sweep brought them back. */
function isBack({ state, events }: Life): boolean {
  if (BACK.includes(state)) return true;
  const returns = events.filter(({ kind }) => kind === KIND.returned);
  return state === STATE.returned && returns.every(({ actor }) => actor === SWEEP_ACTOR);
}

export function checkWholes(checking: Checking): void {
  for (const lives of checking.model.claims.values())
    for (const claim of lives) checkClaim(checking, claim, claim === lives.at(-1));
  for (const lives of checking.model.holds.values()) for (const life of lives) checkPart(checking, life);
  checkBroughtBack(checking);
  checkOverdue(checking);
}

function partsOf({ model, partitions }: Checking, { id, lines, attempt }: ClaimLife): Map<number, Life | undefined> {
  const parts = new Map<number, Life | undefined>();
  for (const { ref } of lines) {
    const partition = partitionOf(ref, partitions);
    const lives = model.holds.get(keyOf(partition, id)) ?? [];
    parts.set(partition, lives.filter((life) => life.attempt === attempt).at(-1));
  }
  return parts;
}

function checkClaim(checking: Checking, claim: ClaimLife, isLast: boolean): void {
  const { report, partitions } = checking;
  const { id, state, lines } = claim;
  const sealed = claim.events.some(({ kind }) => kind === KIND.claimSealed);
  if (!sealed) {
    if (isLast && !claim.aborted)
      report({ point: 2, what: `reservation ${id} is pending for ever`, ids: [id], events: claim.events });
    return;
  }
  checkInTime(checking, claim);
  for (const [partition, part] of partsOf(checking, claim)) {
    const wrong = (what: string): void =>
      report({
        point: 4,
        what: `reservation ${id} is ${stateName(state)}, but its part in partition ${partition} ${what}`,
        ids: [id],
      });
    if (!part) {
      // A part that a rollback took away, of a reservation that did not sell it, is no loss.
      if (!BACK.includes(state)) wrong('is missing');
      continue;
    }
    const own = lines.filter(({ ref }) => partitionOf(ref, partitions) === partition);
    if (!sameLines(own, part.lines)) wrong('has other lines');
    const fate = part.aborted ? 'was given up' : `is ${stateName(part.state)}`;
    if (KEPT.includes(state) && (part.aborted || !KEPT.includes(part.state))) wrong(fate);
    if (BACK.includes(state) && !part.aborted && !isBack(part)) wrong(fate);
    if (state === STATE.held && (part.aborted || part.state !== STATE.held)) wrong(fate);
  }
}

/**
 * Point 9 for claims. A confirm that was decided in time may be lost with its home: then a part that was sold before the deadline,
 * or the record of the reversal, bears witness to it, and the claim is confirmed again whenever that is found.
 */
function checkInTime(checking: Checking, claim: ClaimLife): void {
  const { id, deadline, events } = claim;
  const late = events.find(({ kind, at }) => kind === KIND.claimConfirmed && at >= deadline);
  if (!late) return;
  // Another node's clock: it counts from when the reservation was first asked for.
  const asked = checking.calls.filter((call) => call.request.op === 'reserve' && checking.effects.idOf(call) === id);
  const began = Math.min(...asked.map(({ beganWall }) => beganWall));
  const moved = clocksMovedDuring(checking, asked.length > 0 ? began : 0, late.at);
  const before = moved ? Infinity : deadline + CLOCK_MS;
  const sold = [...partsOf(checking, claim).values()].some((part) =>
    part?.events.some(({ kind, at }) => kind === KIND.confirmed && at < before),
  );
  const taken = checking.final.postgres.reversals?.some((one) => one.id === id && one.kind === KIND.claimConfirmed);
  if (sold || taken) return;
  checking.report({
    point: 9,
    what: `reservation ${id} was confirmed ${late.at - deadline} ms after its deadline, and nothing was sold before`,
    ids: [id],
    events: [late],
  });
}

/** A part without a claim that was completed has never been: it must have gone back. And lines of one record end together. */
function checkPart({ model, partitions, report }: Checking, life: Life): void {
  const { id, attempt, partition } = life;
  if (life.aborted) {
    const given = new Set(life.events.filter(({ kind }) => kind === KIND.aborted).map(({ ref }) => ref));
    if (given.size !== life.lines.length)
      report({
        point: 2,
        what: `${given.size} of ${life.lines.length} lines of ${id} in partition ${partition} were given up`,
        ids: [id],
      });
    return;
  }
  for (const kind of [KIND.confirmed, KIND.released, KIND.expired]) {
    const ended = new Set(life.events.filter((event) => event.kind === kind).map(({ ref }) => ref));
    if (ended.size > 0 && ended.size !== life.lines.length)
      report({
        point: 2,
        what: `${ended.size} of ${life.lines.length} lines of ${id} in partition ${partition} have ended`,
        ids: [id],
      });
  }
  if (attempt === 0) return;
  const claims = model.claims.get(keyOf(partitionOf(id, partitions), id)) ?? [];
  const claim = claims.find(
    (one) => one.attempt === attempt && one.events.some(({ kind }) => kind === KIND.claimSealed),
  );
  if (claim || isBack(life)) return;
  report({
    point: 4,
    what: `reservation ${id} was never completed (attempt ${attempt}), but its part in partition ${partition} is ${stateName(life.state)}`,
    ids: [id],
    events: life.events,
  });
}

/**
 * Units that were sold come back because somebody returns them. The sweep brings them back by itself only from a part whose reservation
 * is not sold: it would undo sales else, and claim and parts would agree about it.
 */
function checkBroughtBack({ model, calls, effects, partitions, report }: Checking): void {
  const returns = calls.filter(({ request, answer }) => request.op === 'return' && answer?.outcome !== 'failed');
  const asked = new Set(returns.map((call) => effects.idOf(call)));
  for (const lives of model.holds.values())
    for (const { id, attempt, partition, events } of lives) {
      const back = events.filter(({ kind, actor }) => kind === KIND.returned && actor === SWEEP_ACTOR);
      if (back.length === 0 || asked.has(id)) continue;
      const claims = model.claims.get(keyOf(partitionOf(id, partitions), id)) ?? [];
      const isSold = claims.some((claim) => claim.attempt === attempt && KEPT.includes(claim.state));
      if (attempt > 0 && !isSold) continue;
      report({
        point: 4,
        what: `reservation ${id} is sold and nobody returned it, but units of it in partition ${partition} were brought back`,
        ids: [id],
        events: back,
      });
    }
}

function checkOverdue({ model, final, report }: Checking): void {
  const late = final.redis.now - SWEEP_MS;
  for (const [what, all] of [
    ['hold', model.holds],
    ['reservation', model.claims],
  ] as const)
    for (const lives of all.values()) {
      const life = present<Life | ClaimLife>(lives);
      if (life?.state === STATE.held && life.deadline < late)
        report({
          point: 9,
          what: `${what} ${life.id} is still held ${final.redis.now - life.deadline} ms after its deadline`,
          ids: [life.id],
        });
    }
}

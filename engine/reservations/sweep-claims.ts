/** Claims and their parts, when they are due: who has been decided tells, who has not heard asks, and what differs is mended. (S9) */
import { isVouchedFor, type Context } from '../context.js';
import { Deadline, isDone } from '../outcome.js';
import { claimsConfirm } from '../scripts/generated/claims-confirm.js';
import { claimsExpire } from '../scripts/generated/claims-expire.js';
import { claimsRelease } from '../scripts/generated/claims-release.js';
import { claimsReturn } from '../scripts/generated/claims-return.js';
import { limits } from '../scripts/generated/limits.js';
import { stockFind } from '../scripts/generated/stock-find.js';
import type { HoldRecord } from '../types.js';
import { extendPart, isSale, tellPart, tellParts, type Decision } from './follow.js';
import { holdAgain, lookAtParts } from './parts.js';
import { placeOf, toRefLine, type Part, type Place } from './place.js';
import { parseClaim, stateAt, stateName } from './record.js';

/** A claim whose parts cannot be told is looked at again after this long at first, ms. */
const RETRY_MS = 1000;
/** One whose decision its shard cannot make safe, or a part of which is astray: nothing of that is mended in a second. */
const RARELY_MS = 10_000;
/** What has waited for hours for a shard: then minutes more do not matter. */
const SELDOM_MS = 600_000;
/** So long after a decision a part that is not as was decided is an error; later its record may just have been forgotten. */
const ASTRAY_MS = limits.retention_seconds * 1_000;
const SWEEP_TIMEOUT_MS = 5000;
/** For a look at another partition: a shard that is away must not hold up what is due here. What has to be safe there: Context.safeMs. */
const LOOK_TIMEOUT_MS = 1000;
export const OPTIONS = { ack: 'executed', timeoutMs: SWEEP_TIMEOUT_MS, actor: 'expiry' } as const;
const LOOK = { ...OPTIONS, timeoutMs: LOOK_TIMEOUT_MS } as const;

function safely({ safeMs }: Context) {
  return { ...OPTIONS, ack: 'replicated', timeoutMs: safeMs } as const;
}

/** The longer something has waited for a shard, the less often it is tried: else all of it is in every sweep's way, every second. */
function backOff(now: number, since: number, least: number, most: number): number {
  return since === 0 ? least : Math.round(Math.min(Math.max((now - since) / 4, least), most));
}

export interface Swept {
  readonly changed: number;
  /** 0, or ms after which to look again. */
  readonly later: number;
}

/** A failover takes less: whoever waits for a shard longer than that waits for people. */
const TELL_AFTER_MS = 60_000;
/** That is told so often, by each process. */
const SAME_NOTICE_MS = 60_000;
const toldAt = new WeakMap<Context, number>();

/** One sweep of one partition. */
export class Pass {
  /** Partitions that have not answered this sweep, or cannot vouch for what they say: not every entry waits for them anew. */
  readonly away = new Set<number>();
  /** Entries that this sweep has put off. */
  readonly putOff = new Set<string>();
  private failures = 0;
  private problem = '';
  private unsafe = 0;

  failed(error: unknown): Swept {
    this.failures++;
    this.problem = error instanceof Error ? error.message : String(error);
    return { changed: 0, later: RARELY_MS };
  }

  /** This claim of the partition was decided at `since`, and its shard cannot make that safe. */
  waits(now: number, since: number): void {
    if (since > 0 && now >= since + TELL_AFTER_MS) this.unsafe++;
  }

  /** One notice for all that failed, not one each. */
  tell(context: Context, partition: number): void {
    this.tellUnsafe(context, partition);
    if (this.failures === 0) return;
    const message = 'claims that are due could not be looked at; they are looked at again in a while';
    context.notice?.({ level: 'warn', message, partition, claims: this.failures, problem: this.problem });
  }

  private tellUnsafe(context: Context, partition: number): void {
    const now = performance.now();
    if (this.unsafe === 0 || (toldAt.get(context) ?? -Infinity) > now - SAME_NOTICE_MS) return;
    toldAt.set(context, now);
    const message =
      'reservations over several partitions have been decided, and their units stay held: neither a replica of the shard nor Postgres has ' +
      'the decision. Bring the replica back, or take it out of the cluster (CLUSTER FORGET on every node)';
    context.notice?.({ level: 'warn', message, partition, claims: this.unsafe });
  }
}

/**
 * A part that is due does what its claim has decided; without a claim it has never been. What ends a part is believed only where
 * the home vouches for it: a master that was cut off knows nothing of what was decided since, and one that is lost takes back.
 */
export async function askClaim(
  context: Context,
  partition: number,
  hold: HoldRecord,
  now: number,
  pass: Pass,
): Promise<Swept> {
  const { id, attempt } = hold;
  const home = context.partitions.home(id);
  const asked = await askHome(context, home, hold, pass);
  // Its units are missing on sale until it is told.
  const unheard = { changed: 0, later: backOff(now, hold.deadline, RETRY_MS, RARELY_MS) };
  if (asked === 'away') return unheard;
  const { claim, epoch } = asked;
  const lives = claim?.attempt === attempt;
  const state = lives ? stateAt(claim, asked.now) : 'gone';
  // The claim says so itself before any part believes it: a clock that goes back must not find it alive again.
  if (lives && state === 'expired' && claim.state !== 'expired') return sweepHome(context, home, id, pass);
  if (lives && (state === 'held' || state === 'pending')) {
    await extendPart(context, id, attempt, partition, claim.deadline, OPTIONS);
    return { changed: 0, later: 0 };
  }
  if (!(await vouches(context, home, epoch, pass))) return unheard;
  const part = { partition, lines: hold.lines.map(toRefLine) };
  const decision = lives && claim.state !== 'pending' ? DECISIONS[state]! : 'abort';
  const told = await tellPart(context, id, attempt, part, decision, OPTIONS);
  return { changed: told.result.status === 'ok' ? 1 : 0, later: 0 };
}

/**
 * A part that is sold, when it is due: with the whole shard of its home the claim may be lost, or that it was sold. Then either the claim
 * is sold again, or the units of all its parts come back: sold as a whole or not at all.
 */
export async function askAfterSale(
  context: Context,
  partition: number,
  hold: HoldRecord,
  now: number,
  pass: Pass,
): Promise<Swept> {
  // Later the record of the claim may just have been forgotten. The deadline lies within one hold of the sale and stays where it is from then
  // on; when the part was resolved does not: units that come back make it younger than its claim.
  const late = now >= hold.deadline + ASTRAY_MS;
  const { id, attempt } = hold;
  const home = context.partitions.home(id);
  const asked = await askHome(context, home, hold, pass);
  if (asked === 'away') return { changed: 0, later: late ? SELDOM_MS : RETRY_MS };
  const { claim, epoch } = asked;
  // All of it comes back, and this part has not heard: it must not be forgotten as it is.
  if (claim?.state === 'returned' && claim.attempt === attempt) return sweepHome(context, home, id, pass);
  if (late || claim?.state === 'confirmed' || claim?.state === 'returned') return { changed: 0, later: 0 };
  // It may still be sold: by this part, which proves it, or by a later attempt. One that is pending again ends before it is known.
  if (claim?.attempt === attempt && claim.state !== 'pending') return sweepHome(context, home, id, pass);
  if (claim?.state === 'held' || claim?.state === 'pending') return { changed: 0, later: RARELY_MS };
  if (!(await vouches(context, home, epoch, pass))) return { changed: 0, later: RARELY_MS };
  const part = { partition, lines: hold.lines.map(toRefLine) };
  const returned = await tellPart(context, id, attempt, part, 'return', safely(context));
  // Taken over by a later attempt meanwhile, or back already.
  if (returned.result.status !== 'ok') return { changed: 0, later: 0 };
  const message = 'a part of a reservation was sold, and its reservation is gone: its units are back on sale';
  context.notice?.({ level: 'warn', message, reservation: id, partition });
  return { changed: 1, later: 0 };
}

/** The claim of a part that is due here. That its home fails must not keep the sweep from what else is due here. */
async function sweepHome(context: Context, home: number, id: string, pass: Pass): Promise<Swept> {
  try {
    return await sweepClaim(context, home, id, pass);
  } catch {
    pass.away.add(home);
    return { changed: 0, later: RETRY_MS };
  }
}

async function askHome(context: Context, home: number, { id }: HoldRecord, { away }: Pass) {
  if (away.has(home)) return 'away';
  try {
    const { result, now, epoch } = await context.caller.call(stockFind, home, { id }, LOOK);
    return { claim: result.status === 'ok' ? parseClaim(id, result.claim) : undefined, now, epoch };
  } catch {
    away.add(home);
    return 'away';
  }
}

async function vouches(context: Context, home: number, epoch: number, { away }: Pass): Promise<boolean> {
  if (away.has(home)) return false;
  const safe = await isVouchedFor(context, home, epoch, safely(context));
  if (!safe) away.add(home);
  return safe;
}

const DECISIONS: Readonly<Record<string, Decision>> = {
  confirmed: 'confirm',
  returned: 'return',
  released: 'release',
  expired: 'expire',
};

/** A claim that is due expires if its time is over; one that has been decided tells its parts, until all have it for good. */
export async function sweepClaim(context: Context, partition: number, id: string, pass: Pass): Promise<Swept> {
  const { result, now } = await context.caller.call(stockFind, partition, { id }, OPTIONS);
  const claim = result.status === 'ok' ? parseClaim(id, result.claim) : undefined;
  if (!claim) return { changed: 0, later: 0 };
  const held = { record: claim, place: placeOf(context, partition, claim), now };
  if (claim.state === 'held') await askParts(context, held);
  const expired = await context.caller.call(claimsExpire, partition, { id }, OPTIONS);
  if (!('state' in expired.result)) return { changed: 0, later: 0 };
  const changed = expired.result.status === 'ok' ? 1 : 0;
  const state = stateName(expired.result.state);
  if (state === 'held' || state === 'pending') return { changed, later: 0 };
  const waiting = (least: number): Swept => ({ changed, later: backOff(now, claim.resolvedAt, least, SELDOM_MS) });
  if (!(await vouches(context, partition, expired.epoch, pass))) {
    pass.waits(now, claim.resolvedAt);
    return waiting(RARELY_MS);
  }
  // It was pending when it was looked at, and may have been sealed and decided since.
  const open = claim.state === 'pending' && (expired.result.status === 'ok' || state === 'expired');
  const decision = open ? 'abort' : DECISIONS[state]!;
  const told = await tellParts(context, id, held.place, decision, safely(context));
  // The return was lost here, or noted by nobody.
  if (told.back) await context.caller.call(claimsReturn, partition, { id, actor: OPTIONS.actor }, OPTIONS);
  const lately = claim.resolvedAt === 0 || now < claim.resolvedAt + ASTRAY_MS;
  if (told.astray.length === 0 || !lately) return told.all ? { changed, later: 0 } : waiting(RETRY_MS);
  for (const part of told.astray) await mend(context, held, part, decision);
  return { changed, later: RARELY_MS };
}

interface Held {
  readonly record: HoldRecord;
  readonly place: Place;
  readonly now: number;
}

/**
 * A claim that is held may have been decided before its partition lost that, with its whole shard or where there is no replica: a part
 * that is sold by it knows, or one that was given back, which nobody can hold again. And a part may be lost while the claim lives: it
 * is held again; where there are no units left, whoever confirms is told.
 */
async function askParts(context: Context, held: Held): Promise<void> {
  const { record, place, now } = held;
  const { id } = record;
  const { ended, sold, lost } = await lookAtParts(context, id, place, LOOK_TIMEOUT_MS);
  if (ended) await context.caller.call(claimsRelease, place.home, { id, actor: OPTIONS.actor }, OPTIONS);
  else if (sold) await context.caller.call(claimsConfirm, place.home, { id, actor: OPTIONS.actor, sold: 1 }, OPTIONS);
  else if (lost.length > 0 && stateAt(record, now) === 'held') {
    const deadline = new Deadline(context.safeMs);
    await holdAgain(context, held, lost, { actor: OPTIONS.actor, deadline });
  }
}

/**
 * A part that was lost although it is sold is held and sold (and returned) again while there are units. One that was sold by a decision
 * that its home has lost, and that was given back or has expired since, brings its units back. Anything else is for people to see to.
 */
async function mend(context: Context, held: Held, part: Part, decision: Decision): Promise<void> {
  const { record, place } = held;
  const { id } = record;
  const deadline = new Deadline(context.safeMs);
  let problem = 'it is sold, and its claim is not';
  if (isSale(decision)) {
    const refused = await holdAgain(context, held, [part], { actor: OPTIONS.actor, deadline });
    problem = `its claim is sold, and it cannot be: ${refused?.refusal.status ?? ''}`;
    if (!refused) return void (await tellPart(context, id, place.attempt, part, decision, safely(context)));
  } else if (decision !== 'abort') {
    const { result } = await tellPart(context, id, place.attempt, part, 'return', safely(context));
    if (isDone(result.status)) return;
    problem += `, and its units cannot be brought back: ${result.status}`;
  }
  const message = 'a part of a reservation is not as was decided';
  context.notice?.({ level: 'error', message, reservation: id, partition: part.partition, problem });
}

/** What is due: holds and claims past their deadline go back on sale, records past their retention are forgotten. (S9) */
import { isVouchedFor, type Context } from '../context.js';
import { Deadline } from '../outcome.js';
import { claimsConfirm } from '../scripts/generated/claims-confirm.js';
import { claimsExpire } from '../scripts/generated/claims-expire.js';
import { claimsReturn } from '../scripts/generated/claims-return.js';
import { limits } from '../scripts/generated/limits.js';
import { stockDue } from '../scripts/generated/stock-due.js';
import { stockExpire } from '../scripts/generated/stock-expire.js';
import { stockFind } from '../scripts/generated/stock-find.js';
import { stockSettle } from '../scripts/generated/stock-settle.js';
import type { HoldRecord } from '../types.js';
import { extendPart, isSale, tellPart, tellParts, type Decision } from './follow.js';
import { holdAgain, isPartSold } from './parts.js';
import { placeOf, toRefLine, type Part, type Place } from './place.js';
import { parseClaim, parseHold, stateAt, stateName } from './record.js';

/** A claim whose parts cannot be told is looked at again after this long, ms. */
const RETRY_MS = 1000;
/** One whose decision its shard cannot make safe, or a part of which is astray: nothing of that is mended in a second. */
const RARELY_MS = 10_000;
/** So long after a decision a part that is not as was decided is an error; later its record may just have been forgotten. */
const ASTRAY_MS = limits.retention_seconds * 1_000;
const SWEEP_TIMEOUT_MS = 5000;
/** What lies in other partitions is looked at again soon: a shard that is away must not hold up what is due here. */
const ELSEWHERE_TIMEOUT_MS = 1000;
const OPTIONS = { ack: 'executed', timeoutMs: SWEEP_TIMEOUT_MS, actor: 'expiry' } as const;
const ELSEWHERE = { ...OPTIONS, timeoutMs: ELSEWHERE_TIMEOUT_MS } as const;
const SAFELY = { ...ELSEWHERE, ack: 'replicated' } as const;

/**
 * Looks at up to `max` due entries (a page at least) of one partition. Any number of processes may sweep at once: every step
 * repeats harmlessly.
 * @returns how many records were expired, decided or forgotten; 0 when nothing was due.
 */
export async function sweep(context: Context, partition: number, max = Infinity): Promise<number> {
  const away: Away = new Set();
  let changed = 0;
  for (let seen = 0; seen < max;) {
    const [due] = (await context.caller.callOnce(stockDue, partition, { page: limits.due_page }, [], OPTIONS)).result;
    if (due?.status !== 'ok' || due.members === '') break;
    const members = due.members.split('\n');
    seen += members.length;
    const counts = await Promise.all(members.map((member) => sweepEntry(context, partition, member, away)));
    changed += counts.reduce((sum, count) => sum + count, 0);
    if (members.length < limits.due_page) break;
  }
  return changed;
}

/** Partitions that have not answered this sweep, or cannot vouch for what they say: not every entry waits for them anew. */
type Away = Set<number>;

interface Swept {
  readonly changed: number;
  /** 0, or ms after which to look again. */
  readonly later: number;
}

async function sweepEntry(context: Context, partition: number, member: string, away: Away): Promise<number> {
  const names = member.startsWith('i:') ? [] : member.split(' ');
  const swept = await Promise.all(
    names.map((name) =>
      name.startsWith('c:')
        ? // What lies elsewhere may refuse or be away; it must not keep the sweep from what is due here.
          sweepClaim(context, partition, name.slice(2), away).catch(() => ({ changed: 0, later: RARELY_MS }))
        : sweepHold(context, partition, name, away),
    ),
  );
  const later = Math.max(0, ...swept.map((one) => one.later));
  const settled = await context.caller.call(stockSettle, partition, { member, later }, OPTIONS);
  const forgotten = settled.result.status === 'ok' ? settled.result.forgotten : 0;
  return swept.reduce((sum, one) => sum + one.changed, forgotten);
}

async function sweepHold(context: Context, partition: number, id: string, away: Away): Promise<Swept> {
  const { result, now } = await context.caller.call(stockFind, partition, { id }, OPTIONS);
  const hold = result.status === 'ok' ? parseHold(id, result.hold) : undefined;
  if (!hold || hold.state !== 'held' || hold.deadline > now) return { changed: 0, later: 0 };
  if (hold.attempt > 0) return askClaim(context, partition, hold, away);
  const lines = hold.lines.map(toRefLine);
  const expired = await context.caller.call(stockExpire, partition, { id, attempt: 0, actor: '', lines }, OPTIONS);
  return { changed: expired.result.status === 'ok' ? 1 : 0, later: 0 };
}

/**
 * A part that is due does what its claim has decided; without a claim it has never been. What ends a part is believed only where
 * the home vouches for it: a master that was cut off knows nothing of what was decided since, and one that is lost takes back.
 */
async function askClaim(context: Context, partition: number, hold: HoldRecord, away: Away): Promise<Swept> {
  const { id, attempt } = hold;
  const home = context.partitions.home(id);
  if (away.has(home)) return { changed: 0, later: RETRY_MS };
  try {
    const { result, now, epoch } = await context.caller.call(stockFind, home, { id }, ELSEWHERE);
    const claim = result.status === 'ok' ? parseClaim(id, result.claim) : undefined;
    const lives = claim?.attempt === attempt;
    const state = lives ? stateAt(claim, now) : 'gone';
    // The claim says so itself before any part believes it: a clock that goes back must not find it alive again.
    if (lives && state === 'expired' && claim.state !== 'expired') return await sweepClaim(context, home, id, away);
    if (lives && (state === 'held' || state === 'pending')) {
      await extendPart(context, id, attempt, partition, claim.deadline, OPTIONS);
      return { changed: 0, later: 0 };
    }
    if (!(await vouches(context, home, epoch, away))) return { changed: 0, later: RETRY_MS };
    const part = { partition, lines: hold.lines.map(toRefLine) };
    const decision = lives && claim.state !== 'pending' ? DECISIONS[state]! : 'abort';
    const told = await tellPart(context, id, attempt, part, decision, OPTIONS);
    return { changed: told.result.status === 'ok' ? 1 : 0, later: 0 };
  } catch {
    away.add(home);
    return { changed: 0, later: RETRY_MS };
  }
}

async function vouches(context: Context, home: number, epoch: number, away: Away): Promise<boolean> {
  if (away.has(home)) return false;
  const safe = await isVouchedFor(context, home, epoch, ELSEWHERE);
  if (!safe) away.add(home);
  return safe;
}

const DECISIONS: Readonly<Record<string, Decision>> = {
  confirmed: 'confirm',
  returned: 'return',
  released: 'release',
  expired: 'expire',
};

/** A claim that is due expires if it still lives; one that has been decided tells its parts, until all have it for good. */
async function sweepClaim(context: Context, partition: number, id: string, away: Away): Promise<Swept> {
  const { result, now } = await context.caller.call(stockFind, partition, { id }, OPTIONS);
  const claim = result.status === 'ok' ? parseClaim(id, result.claim) : undefined;
  if (!claim) return { changed: 0, later: 0 };
  const place = placeOf(context, partition, claim);
  // Its decision may be lost where there is no replica to keep it. A part that was sold by it knows.
  const overdue = claim.state === 'held' && stateAt(claim, now) === 'expired';
  if (overdue && (await isPartSold(context, id, place, ELSEWHERE_TIMEOUT_MS)))
    await context.caller.call(claimsConfirm, partition, { id, actor: OPTIONS.actor, sold: 1 }, OPTIONS);
  const expired = await context.caller.call(claimsExpire, partition, { id }, OPTIONS);
  if (!('state' in expired.result)) return { changed: 0, later: 0 };
  const changed = expired.result.status === 'ok' ? 1 : 0;
  const state = stateName(expired.result.state);
  if (state === 'held' || state === 'pending') return { changed, later: 0 };
  if (!(await vouches(context, partition, expired.epoch, away))) return { changed, later: RARELY_MS };
  // It was pending when it was looked at, and may have been sealed and decided since.
  const open = claim.state === 'pending' && (expired.result.status === 'ok' || state === 'expired');
  const decision = open ? 'abort' : DECISIONS[state]!;
  const told = await tellParts(context, id, place, decision, SAFELY);
  // The return was lost here, or noted by nobody.
  if (told.back) await context.caller.call(claimsReturn, partition, { id, actor: OPTIONS.actor }, OPTIONS);
  const lately = claim.resolvedAt === 0 || now < claim.resolvedAt + ASTRAY_MS;
  if (told.astray.length === 0 || !lately) return { changed, later: told.all ? 0 : RETRY_MS };
  for (const part of told.astray) await bringBack(context, { record: claim, place, now }, part, decision);
  return { changed, later: RARELY_MS };
}

interface Held {
  readonly record: HoldRecord;
  readonly place: Place;
  readonly now: number;
}

/** A part that was lost although it is sold is held and sold (and returned) again while there are units; anything else is for people to see to. */
async function bringBack(context: Context, held: Held, part: Part, decision: Decision): Promise<void> {
  const { record, place } = held;
  const deadline = new Deadline(ELSEWHERE_TIMEOUT_MS);
  let problem = 'it is sold, and its claim is not';
  if (isSale(decision)) {
    const refused = await holdAgain(context, held, [part], { actor: OPTIONS.actor, deadline });
    problem = `its claim is sold, and it cannot be: ${refused?.status ?? ''}`;
    if (!refused) return void (await tellPart(context, record.id, place.attempt, part, decision, SAFELY));
  }
  const { id } = record;
  const message = 'a part of a reservation is not as was decided';
  context.notice?.({ level: 'error', message, reservation: id, partition: part.partition, problem });
}

/** What is due: holds and claims past their deadline go back on sale, records past their retention are forgotten. (S9) */
import type { Context } from '../context.js';
import { claimsExpire } from '../scripts/generated/claims-expire.js';
import { limits } from '../scripts/generated/limits.js';
import { stockDue } from '../scripts/generated/stock-due.js';
import { stockExpire } from '../scripts/generated/stock-expire.js';
import { stockFind } from '../scripts/generated/stock-find.js';
import { stockSettle } from '../scripts/generated/stock-settle.js';
import type { HoldRecord } from '../types.js';
import { extendPart, tellPart, tellParts, type Decision } from './follow.js';
import { placeOf, toRefLine } from './place.js';
import { parseClaim, parseHold, stateAt } from './record.js';

/** A claim whose parts cannot be told is looked at again after this long, ms. */
const RETRY_MS = 1000;
const SWEEP_TIMEOUT_MS = 5000;
/** What lies in other partitions is looked at again soon: a shard that is away must not hold up what is due here. */
const ELSEWHERE_TIMEOUT_MS = 1000;
const OPTIONS = { ack: 'executed', timeoutMs: SWEEP_TIMEOUT_MS, actor: 'expiry' } as const;
const ELSEWHERE = { ...OPTIONS, timeoutMs: ELSEWHERE_TIMEOUT_MS } as const;

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

/** Partitions that have not answered this sweep: not every entry waits for them anew. */
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
      name.startsWith('c:') ? sweepClaim(context, partition, name.slice(2)) : sweepHold(context, partition, name, away),
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

/** A part that is due does what its claim has decided; without a claim it has never been. */
async function askClaim(context: Context, partition: number, hold: HoldRecord, away: Away): Promise<Swept> {
  const { id, attempt } = hold;
  const home = context.partitions.home(id);
  if (away.has(home)) return { changed: 0, later: RETRY_MS };
  try {
    const { result, now } = await context.caller.call(stockFind, home, { id }, ELSEWHERE);
    const claim = result.status === 'ok' ? parseClaim(id, result.claim) : undefined;
    const lives = claim?.attempt === attempt;
    const state = lives ? stateAt(claim, now) : 'gone';
    // The claim says so itself before any part believes it: a clock that goes back must not find it alive again.
    if (lives && state === 'expired' && claim.state !== 'expired') return await sweepClaim(context, home, id);
    if (lives && (state === 'held' || state === 'pending')) {
      await extendPart(context, id, attempt, partition, claim.deadline, OPTIONS);
      return { changed: 0, later: 0 };
    }
    const part = { partition, lines: hold.lines.map(toRefLine) };
    const decision = lives && claim.state !== 'pending' ? DECISIONS[state]! : 'abort';
    const told = await tellPart(context, id, attempt, part, decision, OPTIONS);
    return { changed: told.result.status === 'ok' ? 1 : 0, later: 0 };
  } catch {
    away.add(home);
    return { changed: 0, later: RETRY_MS };
  }
}

const DECISIONS: Readonly<Record<string, Decision>> = {
  confirmed: 'confirm',
  returned: 'confirm',
  released: 'release',
  expired: 'expire',
};

/** A claim that is due expires if it still lives; one that has been decided tells its parts again. */
async function sweepClaim(context: Context, partition: number, id: string): Promise<Swept> {
  const { result } = await context.caller.call(stockFind, partition, { id }, OPTIONS);
  const claim = result.status === 'ok' ? parseClaim(id, result.claim) : undefined;
  if (!claim) return { changed: 0, later: 0 };
  const expired = await context.caller.call(claimsExpire, partition, { id }, OPTIONS);
  const changed = expired.result.status === 'ok' ? 1 : 0;
  const state = changed === 1 ? 'expired' : claim.state;
  if (state === 'held' || state === 'pending') return { changed, later: 0 };
  const decision = claim.state === 'pending' ? 'abort' : DECISIONS[state]!;
  const told = await tellParts(context, id, placeOf(context, partition, claim), decision, ELSEWHERE);
  return { changed, later: told.all ? 0 : RETRY_MS };
}

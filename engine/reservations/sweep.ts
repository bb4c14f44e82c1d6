/** What is due: holds and claims past their deadline go back on sale, records past their retention are forgotten. (S9) */
import type { Context } from '../context.js';
import { limits } from '../scripts/generated/limits.js';
import { stockDue } from '../scripts/generated/stock-due.js';
import { stockExpire } from '../scripts/generated/stock-expire.js';
import { stockFind } from '../scripts/generated/stock-find.js';
import { stockSettle } from '../scripts/generated/stock-settle.js';
import { toRefLine } from './place.js';
import { parseHold } from './record.js';
import { askAfterSale, askClaim, OPTIONS, Pass, sweepClaim, type Swept } from './sweep-claims.js';

/**
 * Looks at up to `max` due entries (a page at least) of one partition. Any number of processes may sweep at once: every step
 * repeats harmlessly.
 * @returns how many records were expired, decided or forgotten; 0 when nothing was due.
 */
export async function sweep(context: Context, partition: number, max = Infinity): Promise<number> {
  const pass = new Pass();
  let changed = 0;
  for (let seen = 0; seen < max;) {
    const [due] = (await context.caller.callOnce(stockDue, partition, { page: limits.due_page }, [], OPTIONS)).result;
    if (due?.status !== 'ok' || due.members === '') break;
    const members = due.members.split('\n');
    // What this sweep has put off is due again behind all that was due when it began: where it shows again, that is done.
    const again = members.findIndex((member) => pass.putOff.has(member));
    const fresh = again < 0 ? members : members.slice(0, again);
    seen += members.length;
    const counts = await Promise.all(fresh.map((member) => sweepEntry(context, partition, member, pass)));
    changed += counts.reduce((sum, count) => sum + count, 0);
    if (again >= 0 || members.length < limits.due_page) break;
  }
  pass.tell(context, partition);
  return changed;
}

async function sweepEntry(context: Context, partition: number, member: string, pass: Pass): Promise<number> {
  const names = member.startsWith('i:') ? [] : member.split(' ');
  const swept = await Promise.all(
    names.map((name) =>
      name.startsWith('c:')
        ? // What lies elsewhere may refuse or be away; it must not keep the sweep from what is due here.
          sweepClaim(context, partition, name.slice(2), pass).catch((error: unknown) => pass.failed(error))
        : sweepHold(context, partition, name, pass),
    ),
  );
  const later = Math.max(0, ...swept.map((one) => one.later));
  if (later > 0) pass.putOff.add(member);
  const settled = await context.caller.call(stockSettle, partition, { member, later }, OPTIONS);
  const forgotten = settled.result.status === 'ok' ? settled.result.forgotten : 0;
  return swept.reduce((sum, one) => sum + one.changed, forgotten);
}

export async function sweepHold(context: Context, partition: number, id: string, pass: Pass): Promise<Swept> {
  const { result, now } = await context.caller.call(stockFind, partition, { id }, OPTIONS);
  const hold = result.status === 'ok' ? parseHold(id, result.hold) : undefined;
  if (hold?.state === 'confirmed' && hold.attempt > 0) return askAfterSale(context, partition, hold, now, pass);
  if (hold?.state !== 'held') return { changed: 0, later: 0 };
  // A part of a claim also before its deadline: its partition may have lost what its claim had told it.
  if (hold.attempt > 0) return askClaim(context, partition, hold, now, pass);
  if (hold.deadline > now) return { changed: 0, later: 0 };
  const lines = hold.lines.map(toRefLine);
  const expired = await context.caller.call(stockExpire, partition, { id, attempt: 0, actor: '', lines }, OPTIONS);
  return { changed: expired.result.status === 'ok' ? 1 : 0, later: 0 };
}

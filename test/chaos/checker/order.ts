/** Point 8: the order of events is an order that callers could have seen; and nobody is told "sold out" while there was enough. */
import { partitionOf } from '../final/redis.js';
import type { Movement } from '../final/types.js';
import type { Call } from '../history.js';
import { type Checking, CLOCK_MS, clocksMoved } from './context.js';
import { push } from './model.js';

export function checkOrder(checking: Checking): void {
  checkReads(checking);
  if (clocksMoved(checking)) return;
  checkRealTime(checking);
  checkSoldOut(checking);
}

interface Span {
  readonly event: Movement;
  readonly began: number;
  readonly ended: number;
  readonly first: Call;
  readonly last: Call;
}

/** If A had been answered before B was asked, A stands before B in their partition. */
function checkRealTime({ calls, effects, report }: Checking): void {
  const groups = new Map<string, Call[]>();
  for (const call of calls) {
    const id = effects.idOf(call);
    const { op } = call.request;
    // An extension and a return may be repeated with an effect each time.
    if (id === undefined || op === 'extend' || op === 'return' || op === 'read' || op === 'find') continue;
    push(groups, `${op} ${id} ${'ref' in call.request ? call.request.ref : ''}`, call);
  }
  const spans = new Map<number, Span[]>();
  for (const group of groups.values()) {
    const [event] = effects.decisive(effects.idOf(group[0]!)!, group[0]!.request);
    const span = event && spanOf(event, group);
    if (span) push(spans, event.partition, span);
  }
  for (const [partition, list] of spans) {
    list.sort((a, b) => a.event.seq - b.event.seq);
    let latest: Span | undefined;
    for (const span of list) {
      if (latest && span.ended < latest.began)
        report({
          point: 8,
          what: `partition ${partition}: event ${span.event.seq} was answered before event ${latest.event.seq} was asked for, and stands after it`,
          ids: [latest.event.id, span.event.id],
          calls: [latest.first, span.last],
          events: [latest.event, span.event],
        });
      if (!latest || span.began > latest.began) latest = span;
    }
  }
}

/** From the first call that may have done it to the first answer that it was done; answers about another execution do not count. */
function spanOf(event: Movement, group: readonly Call[]): Span | undefined {
  const doers = group.filter(
    ({ answer, beganWall }) => answer?.outcome !== 'failed' && beganWall <= event.at + CLOCK_MS,
  );
  const told = doers.filter(
    ({ answer, endedWall }) => answer?.outcome === 'ok' && !answer.replayed && endedWall! + CLOCK_MS >= event.at,
  );
  const first = doers.reduce<Call | undefined>(
    (best, call) => (best && best.began <= call.began ? best : call),
    undefined,
  );
  const last = told.reduce<Call | undefined>(
    (best, call) => (best && best.ended! <= call.ended! ? best : call),
    undefined,
  );
  if (!first || !last) return undefined;
  return { event, began: first.began, ended: last.ended!, first, last };
}

/** Answers before a loss may be about events that are gone with it: nothing is persisted later than that, however busy all is. */
const LOST_TAIL_MS = 10_000;

/**
 * Around a loss, answers about items of that partition may be about events that are gone; `after`: for so long what was heard of them
 * may be told on.
 */
function nearLoss(
  { losses, partitions }: Checking,
  { beganWall, endedWall }: Call,
  ref: string,
  after: number,
): boolean {
  return losses.some(
    (loss) =>
      loss.partitions.has(partitionOf(ref, partitions)) &&
      beganWall - after <= loss.toWall &&
      endedWall! + LOST_TAIL_MS >= loss.fromWall,
  );
}

function checkSoldOut(checking: Checking): void {
  const { calls, model, report, soldOutMs } = checking;
  for (const call of calls) {
    const { request, answer, beganWall, endedWall } = call;
    if (answer?.code !== 'insufficient_stock' || endedWall === undefined || answer.replayed) continue;
    if (request.op !== 'reserve' && request.op !== 'deduct') continue;
    const lines = request.op === 'reserve' ? request.lines : [request];
    if (lines.some(({ ref }) => nearLoss(checking, call, ref, soldOutMs))) continue;
    const from = beganWall - soldOutMs - CLOCK_MS;
    const to = endedWall + CLOCK_MS;
    const lacked = lines.some(({ ref, quantity }) => lowest(model.timelines.get(ref) ?? [], from, to) < quantity);
    if (!lacked)
      report({
        point: 8,
        what: `call ${call.n} (${request.op}) was refused for want of stock, but there was enough all the time`,
        refs: lines.map(({ ref }) => ref),
        calls: [call],
      });
  }
}

/** The fewest units available at any moment from one time to another. */
function lowest(timeline: readonly Movement[], from: number, to: number): number {
  let least = Infinity;
  for (const [index, event] of timeline.entries()) {
    const next = timeline[index + 1];
    if (event.at <= to && (next === undefined || next.at >= from)) least = Math.min(least, event.available);
  }
  return timeline.length === 0 || timeline[0]!.at > from ? Math.min(least, 0) : least;
}

interface LevelRead {
  readonly location: string;
  readonly sku: string;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
}

/** A level that was read is one that the item had: version and counts belong together, and it was not younger than now. */
function checkReads(checking: Checking): void {
  for (const call of checking.calls) {
    if (call.request.op !== 'read' || call.answer?.outcome !== 'ok') continue;
    const body = call.answer.body as LevelRead | { items: LevelRead[] };
    for (const read of 'items' in body ? body.items : [body]) checkRead(checking, call, read);
  }
}

function checkRead(checking: Checking, call: Call, read: LevelRead): void {
  const { model, report } = checking;
  const ref = `${read.location}:${read.sku}`;
  // Memory of a server may be as old as it is allowed to be after a loss, too.
  if (nearLoss(checking, call, ref, 10_000)) return;
  const event = (model.timelines.get(ref) ?? []).find(({ version }) => version === read.version);
  const shown = `call ${call.n} read ${ref} as ${read.available} + ${read.reserved} + ${read.sold} (version ${read.version})`;
  const wrong = (what: string): void => report({ point: 8, what: `${shown}, ${what}`, refs: [ref], calls: [call] });
  if (!event) return wrong('a version it never had');
  if (event.available !== read.available || event.reserved !== read.reserved || event.sold !== read.sold)
    wrong(`but with that version it had ${event.available} + ${event.reserved} + ${event.sold}`);
  else if (event.at > call.endedWall! + CLOCK_MS && !clocksMoved(checking)) wrong('which it only had later');
}

/** Point 8: the order of events is an order that callers could have seen; and nobody is told "sold out" while there was enough. */
import { partitionOf } from '../final/redis.js';
import type { Movement } from '../final/types.js';
import type { Call } from '../history.js';
import { type Checking, CLOCK_MS, whenMade } from './context.js';
import { mayBeLost } from './losses.js';
import { push } from './model.js';
import { checkReads } from './reading.js';

export function checkOrder(checking: Checking): void {
  checkReads(checking);
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

/** If A had been answered before B was asked, A stands before B in their partition; and what was answered as done was done by then. */
function checkRealTime(checking: Checking): void {
  const { calls, effects, report } = checking;
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
    if (!event) continue;
    checkEarly(checking, event, group);
    const span = spanOf(checking, event, group);
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

/** Nothing is answered as done that is done only later, except again: because what was done first was lost. */
function checkEarly(checking: Checking, event: Movement, group: readonly Call[]): void {
  const [soonest] = whenMade(checking, event);
  for (const call of group) {
    const { answer, beganWall, endedWall, n, request } = call;
    if (answer?.outcome !== 'ok' || answer.replayed || endedWall! + CLOCK_MS >= soonest) continue;
    if (checking.effects.missing(call) !== undefined) continue;
    const about = [event.partition, partitionOf(event.id, checking.partitions)];
    if (mayBeLost(checking.tails, about, [beganWall, endedWall!])) continue;
    checking.report({
      point: 8,
      what: `call ${n} (${request.op} ${event.id}) was answered ok ${soonest - endedWall!} ms before it was done`,
      ids: [event.id],
      calls: [call],
      events: [event],
    });
  }
}

/**
 * From the first call that may have done it to the first answer that it was done; answers about another execution do not count.
 * Calls are timed on the run's own clock, whatever those of the nodes say.
 */
function spanOf(checking: Checking, event: Movement, group: readonly Call[]): Span | undefined {
  const [, latest] = whenMade(checking, event);
  const doers = group.filter(({ answer, beganWall }) => answer?.outcome !== 'failed' && beganWall <= latest + CLOCK_MS);
  const told = doers.filter(
    ({ answer, endedWall }) => answer?.outcome === 'ok' && !answer.replayed && endedWall! + CLOCK_MS >= latest,
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
export function nearLoss(
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
  const moments = new Map<string, Moment[]>();
  for (const [ref, timeline] of model.timelines)
    moments.set(
      ref,
      timeline.map((event) => {
        const [soonest, latest] = whenMade(checking, event);
        return { soonest, latest, available: event.available };
      }),
    );
  for (const call of calls) {
    const { request, answer, beganWall, endedWall } = call;
    if (answer?.code !== 'insufficient_stock' || endedWall === undefined || answer.replayed) continue;
    if (request.op !== 'reserve' && request.op !== 'deduct') continue;
    const lines = request.op === 'reserve' ? request.lines : [request];
    if (lines.some(({ ref }) => nearLoss(checking, call, ref, soldOutMs))) continue;
    const from = beganWall - soldOutMs - CLOCK_MS;
    const to = endedWall + CLOCK_MS;
    const lacked = lines.some(({ ref, quantity }) => lowest(moments.get(ref) ?? [], from, to) < quantity);
    if (!lacked)
      report({
        point: 8,
        what: `call ${call.n} (${request.op}) was refused for want of stock, but there was enough all the time`,
        refs: lines.map(({ ref }) => ref),
        calls: [call],
      });
  }
}

/** What was available from some time on: at the earliest and at the latest. */
interface Moment {
  readonly soonest: number;
  readonly latest: number;
  readonly available: number;
}

/** The fewest units available at any moment from one time to another. */
function lowest(moments: readonly Moment[], from: number, to: number): number {
  let least = Infinity;
  for (const [index, { soonest, available }] of moments.entries()) {
    const next = moments[index + 1];
    if (soonest <= to && (next === undefined || next.latest >= from)) least = Math.min(least, available);
  }
  return moments.length === 0 || moments[0]!.latest > from ? Math.min(least, 0) : least;
}

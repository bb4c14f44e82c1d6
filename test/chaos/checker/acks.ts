/** Points 3, 4, 5: what was acknowledged is there, what was refused is not, and an id has one effect. */
import { isDeepStrictEqual } from 'node:util';
import { partitionOf } from '../final/redis.js';
import type { Movement, Reversal } from '../final/types.js';
import type { Call, Request } from '../history.js';
import { type Checking, CLOCK_MS, whenMade } from './context.js';
import { sameLines } from './effects.js';
import { KIND, kindName } from './kinds.js';
import { mayBeLost } from './losses.js';
import { push } from './model.js';

export interface AckTally {
  /** Answers with ack `executed` that are gone and stand in the reversal records. */
  reversed: number;
  /** Gone without a record, which the ending of the process that gave them excuses. */
  unrecorded: number;
  /** Gone without a record because this installation keeps none. */
  unkept: number;
  /** `replicated` and gone, which a loss of more than one node excuses; with a reversal record or without. */
  excused: number;
}

/** Postgres is behind by so much at most when a whole cluster is lost: older `replicated` answers are in the ledger. */
const LAG_MS = 15_000;
/** A server that lives tells of what is gone as soon as the partition is open again: its loss is looked at about once a second. */
const TELLS_MS = 15_000;

export function checkAcks(checking: Checking): AckTally {
  const tally: AckTally = { reversed: 0, unrecorded: 0, unkept: 0, excused: 0 };
  const reversals = new Map<string, Reversal[]>();
  for (const reversal of checking.final.postgres.reversals ?? []) push(reversals, reversal.id, reversal);
  for (const call of checking.calls) {
    const { request, answer } = call;
    if (answer?.outcome !== 'ok' || request.op === 'read' || request.op === 'find') continue;
    const why = checking.effects.missing(call);
    if (why !== undefined) judge(checking, call, why, reversals, tally);
  }
  checkTooStrong(checking);
  checkFalseReversals(checking);
  checkRefused(checking);
  checkUnasked(checking);
  checkReplays(checking);
  return tally;
}

/** The kinds that a reversal of the call may have. */
function kindsOf({ op }: Request): readonly number[] {
  switch (op) {
    case 'reserve':
      return [KIND.held, KIND.claimSealed];
    case 'confirm':
      return [KIND.confirmed, KIND.claimConfirmed];
    case 'release':
      return [KIND.released, KIND.expired, KIND.claimReleased, KIND.claimExpired];
    case 'extend':
      return [KIND.extended, KIND.claimExtended];
    case 'return':
      return [KIND.returned, KIND.claimReturned];
    case 'deduct':
      return [KIND.deducted];
    case 'restock':
      return [KIND.restocked];
    case 'adjust':
      return [KIND.adjusted];
    default:
      return [];
  }
}

function judge(checking: Checking, call: Call, why: string, reversals: Map<string, Reversal[]>, tally: AckTally): void {
  const { effects, report, final } = checking;
  const { request, answer } = call;
  const id = effects.idOf(call) ?? '';
  const ack = answer!.ack;
  const wrong = (point: number, what: string): void => report({ point, what, ids: [id], calls: [call] });
  const told = `call ${call.n} (${request.op} ${id}) was answered ok, ack ${ack}`;
  if (ack === 'durable') return wrong(3, `${told}, and is gone: ${why}`);
  const about = partitionsOf(checking, id);
  // What is asked again is answered by what was done at first, and a kept answer as it was.
  const span = [firstAsked(checking, call), call.endedWall!] as const;
  if (ack === 'replicated') {
    // A record does not make it good: `replicated` outlives one node.
    if (shardWasLost(checking, originalOf(checking, call), about, span)) tally.excused++;
    else wrong(3, `${told}, and is gone: ${why}`);
    return;
  }
  if (isOtherContent(checking, call, id)) return wrong(5, `${told}, although ${id} has other content: ${why}`);
  if (!mayBeLost(checking.tails, about, span)) return wrong(3, `${told}, and is gone where nothing was lost: ${why}`);
  const kinds = kindsOf(request);
  const said = reversals.get(id)?.some(({ kind }) => kinds.includes(kind));
  if (said) tally.reversed++;
  else if (couldNotTell(checking, call, about, span)) tally.unrecorded++;
  else if (final.postgres.reversals === undefined) tally.unkept++;
  else wrong(3, `${told}, is gone (${why}), and no reversal says so`);
}

type Wall = readonly [number, number];

/** A fault took a whole shard, and with it the end of one of the partitions, to which the answer belonged. */
function shardWasLost({ losses, tails }: Checking, call: Call, about: readonly number[], span: Wall): boolean {
  return losses.some(
    ({ loses, from, to, fromWall, toWall, partitions }) =>
      loses === 'cluster' &&
      call.began <= to &&
      call.ended! >= from - LAG_MS &&
      mayBeLost(
        tails,
        about.filter((partition) => partitions.has(partition)),
        span,
        [fromWall, toWall],
      ),
  );
}

/** The server that gave the answer ended before it could have told: after the answer, and until what was lost was open again. */
function couldNotTell({ tails, serverEnds }: Checking, call: Call, about: readonly number[], span: Wall): boolean {
  const wall = call.beganWall - call.began;
  return serverEnds.some(
    ({ name, at, since = at }) =>
      name === call.via && at >= call.began && mayBeLost(tails, about, span, [since + wall - TELLS_MS, Infinity]),
  );
}

/** A kept answer is given again as it was, whatever has become of the change since: the call that it was given to first. */
function originalOf({ calls }: Checking, call: Call): Call {
  if (!call.answer?.replayed) return call;
  return calls.find(({ key, answer }) => key === call.key && answer?.outcome === 'ok' && !answer.replayed) ?? call;
}

/** When somebody asked for it first, by the wall. */
function firstAsked({ calls, effects }: Checking, call: Call): number {
  const id = effects.idOf(call);
  const same = calls.filter((one) => one.request.op === call.request.op && effects.idOf(one) === id);
  return Math.min(...same.map(({ beganWall }) => beganWall));
}

/** Where anything of the call may lie: its home, and the items that any call with this id named. */
function partitionsOf({ calls, effects, partitions }: Checking, id: string): number[] {
  const refs = calls
    .filter((call) => effects.idOf(call) === id)
    .flatMap(({ request }) =>
      'ref' in request ? [request.ref] : 'lines' in request ? (request.lines ?? []).map(({ ref }) => ref) : [],
    );
  return [id, ...refs].map((text) => partitionOf(text, partitions));
}

function isOtherContent({ effects, faults }: Checking, { request }: Call, id: string): boolean {
  // Where nothing can be lost, an answer about other content was never true.
  if (faults.some(({ loses }) => loses !== 'none')) return false;
  const made = effects.reservation(id);
  return request.op === 'reserve' && made !== undefined && !sameLines(request.lines, made.lines);
}

/** What was on its way when Postgres died or a replica was cut off may still have got there, ms. */
const ON_ITS_WAY_MS = 500;

/** Point 3: nothing reaches Postgres while it is dead, nor a replica that hears nothing; whether it is lost afterwards or not. */
function checkTooStrong(checking: Checking): void {
  const { calls, effects, outages = [], report } = checking;
  for (const call of calls) {
    const { request, answer, beganWall, endedWall, n } = call;
    const id = effects.idOf(call);
    // A whole return is decided at the home, and the events that bring units back follow.
    if (answer?.outcome !== 'ok' || answer.replayed || id === undefined || request.op === 'return') continue;
    for (const { ack, partitions, from, to } of outages) {
      if (answer.ack !== ack || beganWall < from || endedWall! > to) continue;
      const events = effects.decisive(id, request);
      const during = events.every((event) => whenMade(checking, event)[0] >= from + ON_ITS_WAY_MS);
      const about = events.filter(({ partition }) => partitions?.includes(partition) ?? true);
      if (!during || about.length === 0) continue;
      const why = ack === 'durable' ? 'Postgres was dead' : 'its replica heard nothing';
      const what = `call ${n} (${request.op} ${id}) was made and answered ${ack} while ${why}`;
      report({ point: 3, what, ids: [id], calls: [call], events: about });
    }
  }
}

/** Point 3: what a record says to be gone is not there: its script call is no event of the ledger. */
function checkFalseReversals({ final, model, report }: Checking): void {
  for (const { partition, id, kind, lostEpoch, lostSeq } of final.postgres.reversals ?? []) {
    const events = model.byPartition.get(partition) ?? [];
    const stands = events.find(({ epoch, seq }) => epoch === lostEpoch && seq === lostSeq);
    if (stands)
      report({
        point: 3,
        what: `a record says that ${kindName(kind)} of ${id} was taken back, and event ${partition}/${lostEpoch}-${lostSeq} is there`,
        ids: [id],
        events: [stands],
      });
  }
}

/** Point 4: whatever happened under an id was asked for by a call that may have done it: not by one that was refused. */
function checkRefused(checking: Checking): void {
  const { calls, effects, report } = checking;
  const groups = new Map<string, Call[]>();
  for (const call of calls) {
    const { op } = call.request;
    if (op === 'read' || op === 'find') continue;
    push(
      groups,
      `${op} ${effects.idOf(call) ?? `${call.client} ${call.key}`} ${'ref' in call.request ? call.request.ref : ''}`,
      call,
    );
  }
  for (const group of groups.values()) {
    const id = effects.idOf(group[0]!);
    if (id === undefined) continue;
    const doers = group.filter(({ answer }) => answer?.outcome !== 'failed');
    for (const event of effects.decisive(id, group[0]!.request)) {
      const [, latest] = whenMade(checking, event);
      if (doers.some(({ beganWall }) => beganWall <= latest + CLOCK_MS)) continue;
      if (wasGivenUp(checking, event)) continue;
      const { op } = group[0]!.request;
      report({
        point: 4,
        what: `${op} ${id} is in the ledger, but every call for it was refused`,
        ids: [id],
        calls: group,
        events: [event],
      });
    }
  }
}

/**
 * A reservation that lost a part whose units were gone by then, and was released because of that: before it was answered, and was then
 * refused; or by a confirm or an extension, which is refused.
 */
function wasGivenUp({ calls, model, effects, tails, partitions, faults }: Checking, event: Movement): boolean {
  const { id, partition, attempt, seq, kind } = event;
  const about = calls.filter((call) => effects.idOf(call) === id);
  const parts = (effects.reservation(id)?.lines ?? []).map(({ ref }) => partitionOf(ref, partitions));
  const began = Math.min(...about.map(({ beganWall }) => beganWall));
  const [soonest, latest] = whenMade({ faults }, event);
  if (kind === KIND.claimReleased)
    return about.some(
      ({ request: { op }, beganWall, endedWall = Infinity }) =>
        (op === 'confirm' || op === 'extend') &&
        beganWall <= latest + CLOCK_MS &&
        endedWall + CLOCK_MS >= soonest &&
        mayBeLost(tails, parts, [began, latest]),
    );
  const released = (model.byPartition.get(partition) ?? []).some(
    (other) => other.kind === KIND.claimReleased && other.id === id && other.attempt === attempt && other.seq > seq,
  );
  return kind === KIND.claimSealed && released && mayBeLost(tails, parts, [began, latest]);
}

/** Point 5: an id that nobody asked with has no effect. */
function checkUnasked({ calls, effects, model, report }: Checking): void {
  const asked = new Set(calls.map((call) => effects.idOf(call)));
  // A claim that was opened and given up holds nothing: overload opens some for items that there are not.
  const kinds: readonly number[] = [KIND.restocked, KIND.adjusted, KIND.deducted, KIND.held];
  for (const [id, events] of model.byId) {
    const event = asked.has(id) ? undefined : events.find(({ kind }) => kinds.includes(kind));
    if (event) report({ point: 5, what: `${id} was asked for by nobody`, ids: [id], events: [event] });
  }
}

/**
 * Point 5: what is replayed under a key is the same every time. Kept answers lie in Redis alone: where a node lost what it had
 * meanwhile, the change is answered anew, as what has become of it; but never made again under another id.
 */
function checkReplays({ calls, faults, report }: Checking): void {
  const byKey = new Map<string, Call[]>();
  for (const call of calls)
    if (call.key !== undefined && call.answer?.replayed) push(byKey, `${call.client} ${call.key}`, call);
  for (const group of byKey.values()) {
    const [first, ...others] = group as [Call, ...Call[]];
    for (const other of others) {
      if (isDeepStrictEqual(first.answer!.body, other.answer!.body)) continue;
      if (faults.some(({ loses, from, to }) => loses !== 'none' && first.began <= to && other.ended! >= from)) continue;
      report({ point: 5, what: 'two replays under one key differ', calls: [first, other] });
    }
  }
}

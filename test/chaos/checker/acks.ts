/** Points 3, 4, 5: what was acknowledged is there, what was refused is not, and an id has one effect. */
import { isDeepStrictEqual } from 'node:util';
import { partitionOf } from '../final/redis.js';
import type { Reversal } from '../final/types.js';
import type { Call, Request } from '../history.js';
import { type Checking, CLOCK_MS, clocksMoved } from './context.js';
import { sameLines } from './effects.js';
import { KIND } from './kinds.js';
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
  const { effects, report, losses, serverEnds, final } = checking;
  const { request, answer } = call;
  const id = effects.idOf(call) ?? '';
  const ack = answer!.ack;
  const wrong = (point: number, what: string): void => report({ point, what, ids: [id], calls: [call] });
  const told = `call ${call.n} (${request.op} ${id}) was answered ok, ack ${ack}`;
  if (ack === 'durable') return wrong(3, `${told}, and is gone: ${why}`);
  if (ack === 'replicated') {
    const about = partitionsOf(checking, id);
    const lost = losses.some(
      ({ loses, from, to, partitions }) =>
        loses === 'cluster' &&
        call.began <= to &&
        call.ended! >= from - LAG_MS &&
        about.some((partition) => partitions.has(partition)),
    );
    // A record does not make it good: `replicated` outlives one node.
    if (lost) tally.excused++;
    else wrong(3, `${told}, and is gone: ${why}`);
    return;
  }
  const kinds = kindsOf(request);
  const said = reversals.get(id)?.some(({ kind }) => kinds.includes(kind));
  if (said) tally.reversed++;
  else if (isOtherContent(checking, call, id)) wrong(5, `${told}, although ${id} has other content: ${why}`);
  else if (serverEnds.some(({ name, at }) => name === call.via && at >= call.began)) tally.unrecorded++;
  else if (final.postgres.reversals === undefined) tally.unkept++;
  else wrong(3, `${told}, is gone (${why}), and no reversal says so`);
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

/** Point 4: whatever happened under an id was asked for by a call that may have done it: not by one that was refused. */
function checkRefused(checking: Checking): void {
  const { calls, effects, report } = checking;
  const moved = clocksMoved(checking);
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
      if (doers.some(({ beganWall }) => moved || beganWall <= event.at + CLOCK_MS)) continue;
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

/** Telling the parts of a claim what its home has decided. Every step may be repeated. */
import type { CallResult } from '../caller.js';
import { change, isSafe, isVouchedFor, type Context } from '../context.js';
import { Deadline, isDone, narrowest } from '../outcome.js';
import { stockAbort } from '../scripts/generated/stock-abort.js';
import { stockConfirm } from '../scripts/generated/stock-confirm.js';
import { stockExpire } from '../scripts/generated/stock-expire.js';
import { stockExtend } from '../scripts/generated/stock-extend.js';
import { stockRelease } from '../scripts/generated/stock-release.js';
import { stockReturn } from '../scripts/generated/stock-return.js';
import type { StatusName } from '../scripts/generated/statuses.js';
import type { Script } from '../scripts/script.js';
import type { Ack } from '../types.js';
import type { Part, Place } from './place.js';

/** `return`: all units, of a claim that is sold. */
export type Decision = 'confirm' | 'release' | 'expire' | 'abort' | 'return';

interface PartOp {
  readonly id: string;
  readonly attempt: number;
  readonly actor: string;
  readonly lines: readonly { readonly item: string }[];
}

interface PartResult {
  readonly status: StatusName;
  readonly state?: number;
}

const SCRIPTS: Readonly<Record<Exclude<Decision, 'return'>, Script<void, PartOp, PartResult>>> = {
  confirm: stockConfirm,
  release: stockRelease,
  expire: stockExpire,
  abort: stockAbort,
};

export interface FollowOptions {
  readonly ack: Ack;
  readonly timeoutMs: number;
  readonly actor: string;
}

export function tellPart(
  context: Context,
  id: string,
  attempt: number,
  part: Part,
  decision: Decision,
  options: FollowOptions,
): Promise<CallResult<PartResult>> {
  if (decision === 'return') return bringBack(context, id, attempt, part, options);
  const { ack, timeoutMs, actor } = options;
  const op = { id, attempt, actor, lines: part.lines };
  return change(context, SCRIPTS[decision], part.partition, op, { ack, timeoutMs, id });
}

/** All units of a part, also of one that has not heard yet that it was sold. */
async function bringBack(
  context: Context,
  id: string,
  attempt: number,
  part: Part,
  { ack, timeoutMs, actor }: FollowOptions,
): Promise<CallResult<PartResult>> {
  const deadline = new Deadline(timeoutMs);
  const lines = part.lines.map(({ item, quantity }) => ({ item, total: quantity }));
  const op = { id, attempt, actor, lines };
  const call = () => change(context, stockReturn, part.partition, op, { ack, timeoutMs: deadline.left(), id });
  const answer = await call();
  if (answer.result.status !== 'reservation_held') return answer;
  await tellPart(context, id, attempt, part, 'confirm', { ack: 'executed', timeoutMs: deadline.left(), actor });
  return call();
}

export interface Told {
  /** Every part has answered, and no loss takes back what it did (where `replicated` at least was asked for). */
  readonly all: boolean;
  /** What all parts together have reached: `executed` where one could not be told, or was lost or decided otherwise before. */
  readonly ack: Ack;
  /** Parts that have answered and are not as was decided: not there, though sold; or sold, though given back. */
  readonly astray: readonly Part[];
  /** Told that they are sold, all have answered that their units have come back since. */
  readonly back: boolean;
}

/** Nothing was told. */
const UNTOLD: Told = { all: false, ack: 'executed', astray: [], back: false };

const CONFIRMED = 2;
const RETURNED = 5;

/**
 * Whether the part is as was decided; one that was sold is not taken back by an expiry, which answers `exists`. A part whose units have
 * come back follows both: that it was sold, and that it is not.
 */
function follows(decision: Decision, { status, state }: PartResult): boolean {
  if (decision === 'return') return isDone(status) && state === RETURNED;
  if (decision !== 'abort' && status === 'reservation_returned') return true;
  return isDone(status) && (decision === 'confirm' || state !== CONFIRMED);
}

/** Whether the claim was sold by it, or before it: then all parts have to be there. */
export function isSale(decision: Decision): boolean {
  return decision === 'confirm' || decision === 'return';
}

/** A part that is not there has nothing to give back. */
function isAstray(decision: Decision, result: PartResult): boolean {
  return !follows(decision, result) && (isSale(decision) || result.status !== 'reservation_not_found');
}

/**
 * Tells the parts what their home has answered just now. They are told only what no loss of the home takes back: else they would
 * do so while it forgets. Where that cannot be had now, the sweep tells them as soon as it can.
 */
export async function tellSafely(
  context: Context,
  id: string,
  place: Place,
  answer: CallResult<unknown>,
  decision: Decision,
  options: FollowOptions,
): Promise<Told> {
  const deadline = new Deadline(options.timeoutMs);
  // A WAIT may also have been lost with its connection: then asking once more is enough.
  const vouching = { timeoutMs: options.timeoutMs, id };
  const safe = isSafe(answer) || (await isVouchedFor(context, place.home, answer.epoch, vouching, ['replicated']));
  return safe ? tellParts(context, id, place, decision, { ...options, timeoutMs: deadline.left() }) : UNTOLD;
}

export async function tellParts(
  context: Context,
  id: string,
  place: Place,
  decision: Decision,
  options: FollowOptions,
): Promise<Told> {
  const told = await Promise.allSettled(
    place.parts.map((part) => tellPart(context, id, place.attempt, part, decision, options)),
  );
  const acks = told.map((part) =>
    part.status === 'fulfilled' && follows(decision, part.value.result) ? part.value.ack : 'executed',
  );
  return {
    back: told.every((part) => part.status === 'fulfilled' && part.value.result.status === 'reservation_returned'),
    all: told.every((part) => part.status === 'fulfilled' && (isSafe(part.value) || !isDone(part.value.result.status))),
    ack: narrowest(acks),
    astray: place.parts.filter((_, n) => {
      const part = told[n]!;
      return part.status === 'fulfilled' && isAstray(decision, part.value.result);
    }),
  };
}

/** A part of a claim that lives is due again when the claim is. */
export function extendPart(
  context: Context,
  id: string,
  attempt: number,
  partition: number,
  until: number,
  { ack, timeoutMs, actor }: FollowOptions,
) {
  const op = { id, attempt, hold: 0, untilMs: until, actor };
  return context.caller.call(stockExtend, partition, op, { ack, timeoutMs, id });
}

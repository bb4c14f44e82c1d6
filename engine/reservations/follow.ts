/** Telling the parts of a claim what its home has decided. Every step may be repeated. */
import { change, isSafe, type Context } from '../context.js';
import { isDone, narrowest } from '../outcome.js';
import { stockAbort } from '../scripts/generated/stock-abort.js';
import { stockConfirm } from '../scripts/generated/stock-confirm.js';
import { stockExpire } from '../scripts/generated/stock-expire.js';
import { stockExtend } from '../scripts/generated/stock-extend.js';
import { stockRelease } from '../scripts/generated/stock-release.js';
import type { StatusName } from '../scripts/generated/statuses.js';
import type { Script } from '../scripts/script.js';
import type { Ack } from '../types.js';
import type { Part, Place } from './place.js';

export type Decision = 'confirm' | 'release' | 'expire' | 'abort';

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

const SCRIPTS: Readonly<Record<Decision, Script<void, PartOp, PartResult>>> = {
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
  { ack, timeoutMs, actor }: FollowOptions,
) {
  const op = { id, attempt, actor, lines: part.lines };
  return change(context, SCRIPTS[decision], part.partition, op, { ack, timeoutMs, id });
}

export interface Told {
  /** Every part has answered, and no loss takes back what it did (where `replicated` at least was asked for). */
  readonly all: boolean;
  /** What all parts together have reached: `executed` where one could not be told, or was lost or decided otherwise before. */
  readonly ack: Ack;
  /** Parts that have answered and are not as was decided: not there, though sold; or sold, though given back. */
  readonly astray: readonly Part[];
}

/** Nothing was told. */
export const UNTOLD: Told = { all: false, ack: 'executed', astray: [] };

const CONFIRMED = 2;
const RETURNED = 5;

/** Whether the part is as was decided; one that was sold is not taken back by an expiry, which answers `exists`. */
function follows(decision: Decision, { status, state }: PartResult): boolean {
  const sold = state === CONFIRMED || state === RETURNED;
  if (decision === 'confirm' && status === 'reservation_returned') return true;
  return isDone(status) && (decision === 'confirm' || !sold);
}

/** A part that is not there has nothing to give back. */
function isAstray(decision: Decision, result: PartResult): boolean {
  return !follows(decision, result) && (decision === 'confirm' || result.status !== 'reservation_not_found');
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

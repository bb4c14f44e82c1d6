/** Telling the parts of a claim what its home has decided. Every step may be repeated. */
import { change, type Context } from '../context.js';
import { narrowest } from '../outcome.js';
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

/** The ack that all parts together have reached; undefined when a part could not be told. */
export async function tellParts(
  context: Context,
  id: string,
  place: Place,
  decision: Decision,
  options: FollowOptions,
): Promise<Ack | undefined> {
  const told = await Promise.allSettled(
    place.parts.map((part) => tellPart(context, id, place.attempt, part, decision, options)),
  );
  const acks: Ack[] = [];
  for (const part of told) if (part.status === 'fulfilled') acks.push(part.value.ack);
  return acks.length === told.length ? narrowest(acks) : undefined;
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

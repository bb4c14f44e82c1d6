/** The shape of a generated script binding, and what cold paths and tests need around it. */
import type { FixedKind, ItemKind } from '../keys.js';
import type { EventName } from './generated/events.js';
import type { StatusName } from './generated/statuses.js';

/** One cell of ARGV. Redis gets its decimal or UTF-8 form. */
export type Wire = string | number;
/** One cell of a reply. */
export type ReplyValue = string | number;

/** Cells before the rows of a reply: call status, epoch, seq, time in ms. */
export const REPLY_HEADER = 4;

/** What is known of a script without its types. */
export interface ScriptInfo {
  /** `stock/reserve` */
  readonly name: string;
  readonly source: string;
  /** SHA-1 of `source`, as EVALSHA wants it. */
  readonly sha1: string;
  /** Flagged no-writes: may run when memory is full, changes nothing. */
  readonly readonly: boolean;
  /** Flagged allow-oom: ends what was begun or makes room, so it goes on when memory is full and when new work is refused. */
  readonly finishing: boolean;
  /** Takes any number of operations a call and answers a row for each; otherwise one row in all. */
  readonly vectorised: boolean;
  /** Kinds of the keys that come first, in order. */
  readonly fixedKeys: readonly FixedKind[];
  /** Kinds of the keys per item: after the fixed keys, each kind for all items of the call. */
  readonly itemKeys: readonly ItemKind[];
  /** Cells of a reply row. */
  readonly width: number;
  /** In order of precedence. */
  readonly statuses: readonly StatusName[];
  readonly events: readonly EventName[];
  /** From line `start` of the source on, lines come from `file`, beginning at `line`. */
  readonly origins: readonly (readonly [start: number, file: string, line: number])[];
}

export interface Script<Args, Op, Result> extends ScriptInfo {
  /** Appends the fixed arguments. The number of operations and the operations follow them. */
  encodeArgs(args: Args, out: Wire[]): void;
  /** Appends one operation; `itemIndex` gives the 1-based index of `location:sku` among the items of the call. */
  encodeOp(op: Op, itemIndex: (ref: string) => number, out: Wire[]): void;
  /** Calls `fn` with the `location:sku` of each item the operation names, repeats included. */
  forEachItem(op: Op, fn: (ref: string) => void): void;
  /** Cells of ARGV that the operation takes. */
  opWidth(op: Op): number;
  /** Reads the row that begins at `offset`. Throws {@link ScriptReplyError} when it makes no sense. */
  decodeRow(reply: readonly ReplyValue[], offset: number): Result;
}

/** A script answered something its header does not declare: a bug, or a script of another version. */
export class ScriptReplyError extends Error {
  override readonly name = 'ScriptReplyError';
  constructor(
    readonly script: string,
    problem: string,
  ) {
    super(`script ${script}: ${problem}`);
  }
}

export function unknownStatus(script: string, status: ReplyValue | undefined): ScriptReplyError {
  return new ScriptReplyError(script, `undeclared status ${String(status)}`);
}

/** Names by their numbers; holes where no name has the number. */
export function numberedNames<N extends string>(
  registry: Readonly<Record<N, { readonly number: number }>>,
): readonly (N | undefined)[] {
  const names: (N | undefined)[] = [];
  for (const name of Object.keys(registry) as N[]) names[registry[name].number] = name;
  return Array.from(names, (name) => name);
}

export interface EncodedCall {
  /** Distinct items in the order of their first use: their keys follow the fixed keys. */
  readonly items: readonly string[];
  readonly argv: Wire[];
}

/** A whole call at once, for cold paths and tests; the batcher fills its own buffers instead. */
export function encodeCall<Args, Op, Result>(
  script: Script<Args, Op, Result>,
  args: Args,
  ops: readonly Op[] = [],
): EncodedCall {
  const index = new Map<string, number>();
  const argv: Wire[] = [];
  script.encodeArgs(args, argv);
  if (script.vectorised) argv.push(ops.length);
  for (const op of ops) {
    script.forEachItem(op, (ref) => {
      if (!index.has(ref)) index.set(ref, index.size + 1);
    });
    script.encodeOp(op, (ref) => index.get(ref)!, argv);
  }
  return { items: [...index.keys()], argv };
}

export interface DecodedReply<Result> {
  /** 0: ran. Otherwise a status number; nothing changed and there are no rows. */
  readonly callStatus: number;
  readonly epoch: number;
  /** Number of the partition's last event after the call. */
  readonly seq: number;
  /** The node's clock, ms since the epoch. */
  readonly now: number;
  readonly rows: readonly Result[];
}

/** Reads a whole reply; `ops` is how many operations were sent. */
export function decodeReply<Args, Op, Result>(
  script: Script<Args, Op, Result>,
  reply: readonly ReplyValue[],
  ops: number,
): DecodedReply<Result> {
  const [callStatus, epoch = 0, seq = 0, now = 0] = reply as readonly number[];
  if (typeof callStatus !== 'number') throw new ScriptReplyError(script.name, 'reply without a call status');
  const rows: Result[] = [];
  if (callStatus !== 0) return { callStatus, epoch, seq, now, rows };
  const expected = script.vectorised ? ops : 1;
  if (reply.length !== REPLY_HEADER + expected * script.width)
    throw new ScriptReplyError(script.name, `${reply.length} cells for ${expected} rows of ${script.width}`);
  for (let i = 0; i < expected; i++) rows.push(script.decodeRow(reply, REPLY_HEADER + i * script.width));
  return { callStatus, epoch, seq, now, rows };
}

/** Puts the source file and line into an error of Redis that names a line of the expanded script. */
export function locateError(script: ScriptInfo, message: string): string {
  return message.replace(/user_script:(\d+)/g, (whole, digits: string) => {
    const line = Number(digits);
    const origin = script.origins.filter(([start]) => start <= line).at(-1);
    return origin ? `${origin[1]}:${origin[2] + line - origin[0]}` : whole;
  });
}

/** The shape of a generated script binding, and what cold paths and tests need around it. */
import type { FixedKind, ItemKind } from '../keys.js';
import type { EventName } from './generated/events.js';
import type { StatusName } from './generated/statuses.js';

/** One cell of ARGV. Redis gets its decimal or UTF-8 form, or the bytes as they are. */
export type Wire = string | number | Buffer;

/** Takes the cells of ARGV one after the other. */
export interface Cells {
  /** @throws TypeError for anything else: an operation that lacks a field. */
  cell(value: string | number): void;
  /** 48 bits as six bytes, the highest first. @throws TypeError for what is no number. */
  hash(value: number): void;
}
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
  /** Appends the fixed arguments. */
  encodeArgs(args: Args, out: Cells): void;
  /**
   * Appends the number of operations (at least one), their shape, and their columns; `itemIndex` gives the 1-based index of
   * `location:sku` among the items of the call.
   */
  encodeOps(ops: readonly Op[], itemIndex: (ref: string) => number, out: Cells): void;
  /** Calls `fn` with the `location:sku` of each item the operation names, repeats included. */
  forEachItem(op: Op, fn: (ref: string) => void): void;
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
  const out: Cells = {
    cell: (value) => void argv.push(value),
    hash: (value) => void argv.push(Buffer.from(hashBytes(value), 'latin1')),
  };
  script.encodeArgs(args, out);
  for (const op of ops)
    script.forEachItem(op, (ref) => {
      if (!index.has(ref)) index.set(ref, index.size + 1);
    });
  if (script.vectorised) script.encodeOps(ops, (ref) => index.get(ref)!, out);
  return { items: [...index.keys()], argv };
}

const LOW = 2 ** 24;

/** The 48 bits of a number as six characters of one byte each, the highest first. @throws TypeError for anything else. */
export function hashBytes(value: number): string {
  if (!(Number.isInteger(value) && value >= 0 && value < 2 ** 48))
    throw new TypeError('a hash is a whole number of 48 bits');
  const high = Math.floor(value / LOW);
  const low = value % LOW;
  return String.fromCharCode(
    (high >>> 16) & 255,
    (high >>> 8) & 255,
    high & 255,
    (low >>> 16) & 255,
    (low >>> 8) & 255,
    low & 255,
  );
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

/** How many rows the run is that begins at `at`: equal rows that follow each other stand once, behind their number. */
export function runLength(script: ScriptInfo, reply: readonly ReplyValue[], at: number, left: number): number {
  const run = reply[at];
  if (typeof run !== 'number' || !(run >= 1 && run <= left) || at + script.width >= reply.length)
    throw new ScriptReplyError(script.name, `${reply.length} cells are not the rows that were asked for`);
  return run;
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
  for (let at = REPLY_HEADER; at < reply.length; at += 1 + script.width) {
    const row = script.decodeRow(reply, at + 1);
    for (let left = runLength(script, reply, at, expected - rows.length); left > 0; left--) rows.push(row);
  }
  if (rows.length !== expected)
    throw new ScriptReplyError(script.name, `${reply.length} cells are ${rows.length} rows, not ${expected}`);
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

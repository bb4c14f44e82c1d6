/** Compares what one partition did, in the order it did it, with what the oracle says. */
import { isDeepStrictEqual } from 'node:util';
import { decodeReply, locateError, type ReplyValue, type Script } from '../../engine/scripts/script.js';
import { type LoggedEntry, type ScriptPartition, type World } from '../support/scripts.js';
import { replay } from './ledger.js';
import { Oracle, type ScriptName } from './oracle.js';
import { type Row } from './rule.js';
import { State } from './state.js';

export type AnyScript = Script<object, object, Row>;

/** A call as it was made and answered. */
export interface Made {
  readonly name: ScriptName;
  readonly script: AnyScript;
  readonly ops: readonly object[];
  readonly reply: readonly ReplyValue[] | Error;
}

/** One operation of a history. */
export interface Step {
  readonly name: ScriptName;
  readonly op: object;
}

export class Disagreement extends Error {
  override readonly name = 'Disagreement';
  /** Everything that the partition was asked until then, with what disagreed; empty where it shows only at the end. */
  constructor(
    message: string,
    readonly steps: readonly Step[] = [],
  ) {
    super(message);
  }
}

interface Past {
  readonly order: number;
  readonly name: ScriptName;
  readonly op: object;
  readonly row: Row;
  readonly now: number;
}

const KEEP = 60_000;
const SHOW = 25;

export class Checker {
  readonly seen = new Map<string, number>();
  private readonly oracle: Oracle;
  private readonly waiting = new Map<number, Made>();
  private readonly past: Past[] = [];
  private readonly entries: LoggedEntry[] = [];
  private next = 1;
  private seq = 0;

  constructor(
    private readonly partition: ScriptPartition,
    private readonly start: World,
    private readonly besides: readonly string[],
    private readonly learn: (name: ScriptName, ops: readonly object[], rows: readonly Row[]) => void,
  ) {
    this.oracle = new Oracle(State.of(start));
  }

  /** Takes a call by its place in the partition's order; checks all that are complete up to there. */
  take(order: number, made: Made): void {
    this.waiting.set(order, made);
    for (let ready = this.waiting.get(this.next); ready; ready = this.waiting.get(this.next)) {
      this.waiting.delete(this.next);
      this.one(ready);
      this.next++;
    }
  }

  private one({ name, script, ops, reply }: Made): void {
    if (reply instanceof Error) throw this.disagree(name, ops, -1, 'an answer', locateError(script, reply.message), 0);
    const got = this.decoded(name, script, ops, reply);
    const expected = this.oracle.call(name, ops, got.now);
    for (const [i, op] of ops.entries()) {
      const [row, wanted] = [got.rows[i]!, expected.rows[i]!];
      if (!isDeepStrictEqual({ ...row }, wanted)) throw this.disagree(name, ops, i, wanted, row, got.now);
      this.seen.set(`${name} ${row.status}`, (this.seen.get(`${name} ${row.status}`) ?? 0) + 1);
      if (this.past.length < KEEP) this.past.push({ order: this.next, name, op, row, now: got.now });
    }
    if (expected.broken.length) throw this.disagree(name, ops, -1, 'the laws of stock', expected.broken, got.now);
    const first = this.seq + 1;
    this.seq += expected.events.length;
    const header = [got.callStatus, got.epoch, got.seq];
    if (!isDeepStrictEqual(header, [0, 1, this.seq]))
      throw this.disagree(name, ops, -1, [0, 1, this.seq], header, got.now);
    if (expected.events.length)
      this.entries.push({
        id: `1-${this.seq}`,
        at: got.now,
        epoch: 1,
        events: expected.events.map((event, i) => ({ ...event, seq: first + i })),
      });
    this.learn(name, ops, got.rows);
  }

  private decoded(name: ScriptName, script: AnyScript, ops: readonly object[], reply: readonly ReplyValue[]) {
    try {
      return decodeReply(script, reply, ops.length);
    } catch (error) {
      throw this.disagree(name, ops, -1, 'an answer that makes sense', (error as Error).message, 0);
    }
  }

  /** After the last call: content and log, wholly. */
  async finish(): Promise<void> {
    if (this.waiting.size) throw new Disagreement(`partition ${this.partition.number}: call ${this.next} never came`);
    const world = await this.partition.world(this.besides);
    const expected: World = {
      ...this.oracle.state.toWorld(),
      meta: { ...this.start.meta, seq: this.seq },
    };
    for (const kind of Object.keys(expected) as (keyof World)[]) this.same(kind, expected[kind], world[kind]);
    const log = await this.partition.log();
    for (const [i, entry] of this.entries.entries())
      if (!isDeepStrictEqual(log[i], entry)) throw this.differs(`log entry ${i}`, entry, log[i]);
    if (log.length !== this.entries.length) throw this.differs('log entries', this.entries.length, log.length);
    const problems = replay(this.start, log, world);
    if (problems.length)
      throw new Disagreement(`partition ${this.partition.number}, log replayed:\n${problems.join('\n')}`);
  }

  private same(kind: string, expected: object, got: object): void {
    const [e, g] = [expected, got] as [Record<string, unknown>, Record<string, unknown>];
    for (const key of new Set([...Object.keys(e), ...Object.keys(g)]))
      if (!isDeepStrictEqual(e[key], g[key])) throw this.differs(`${kind} ${key}`, e[key], g[key]);
  }

  private differs(what: string, expected: unknown, got: unknown): Disagreement {
    return new Disagreement(
      `partition ${this.partition.number}, at the end, ${what}\nexpected ${shown(expected)}\ngot      ${shown(got)}`,
    );
  }

  /** With the least that led there: what came before about the same ids and items. */
  private disagree(
    name: ScriptName,
    ops: readonly object[],
    at: number,
    expected: unknown,
    got: unknown,
    now: number,
  ): Disagreement {
    const concerned = at >= 0 ? [ops[at]!] : ops;
    const names = new Set(concerned.flatMap(namesIn));
    const related = this.past.filter(({ op }) => namesIn(op).some((it) => names.has(it)));
    const ids = related.filter(({ op }) => 'id' in op && names.has((op as { id: string }).id));
    const shownPast = [...new Set([...ids.slice(-SHOW), ...related.slice(-SHOW)])].sort((a, b) => a.order - b.order);
    return new Disagreement(
      [
        `partition ${this.partition.number}, call ${this.next} (${name}${at >= 0 ? `, operation ${at}` : ''}) at ${now}`,
        ...shownPast.map((p) => `  ${p.order} at ${p.now} ${p.name} ${shown(p.op)} → ${shown(p.row)}`),
        `then ${name} ${shown(concerned)}`,
        `expected ${shown(expected)}`,
        `got      ${shown(got)}`,
      ].join('\n'),
      [...this.past, ...concerned.map((op) => ({ name, op }))],
    );
  }
}

function namesIn(op: object): string[] {
  const { id, item, lines = [] } = op as { id?: string; item?: string; lines?: { item?: string }[] };
  return [id, item, ...lines.map((line) => line.item)].filter((name): name is string => name !== undefined);
}

const shown = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text === undefined ? 'nothing' : text.length > 1_500 ? `${text.slice(0, 1_500)}…` : text;
};

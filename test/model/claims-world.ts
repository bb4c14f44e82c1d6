/**
 * Shards as claims meet them: each partition is a state that the oracle's rules change, with a replica that may be behind. The
 * engine's own code runs on top of it, one script call at a time in an order that a plan decides, on a clock of its own.
 */
import type { Caller, CallerOptions, CallResult } from '../../engine/caller.js';
import type { Context } from '../../engine/context.js';
import { Partitions } from '../../engine/partitions.js';
import { reservationsApi, sweep } from '../../engine/reservations/index.js';
import { isDone } from '../../engine/outcome.js';
import type { StatusName } from '../../engine/scripts/generated/statuses.js';
import type { Ack } from '../../engine/types.js';
import { Oracle, type ScriptName } from './oracle.js';
import { NO_SETTINGS, State } from './state.js';
import { askingBy } from '../support/asking.js';

export const PARTITIONS = 4;
export const UNITS = 5;
const READS = new Set<string>(['stock/find', 'stock/due', 'stock/check']);

/** One line of history of a partition: what its master has, and up to where its replicas have it. */
class Branch {
  readonly past: State[];
  replicated = 0;

  constructor(
    public state: State,
    readonly epoch: number,
  ) {
    this.past = [copyOf(state)];
  }

  wrote(): void {
    this.past.push(copyOf(this.state));
  }

  /** What is left of it when its master is lost. */
  survivor(keep: number): Branch {
    const at = Math.max(this.replicated, this.past.length - 1 - keep);
    return new Branch(copyOf(this.past[Math.min(at, this.past.length - 1)]!), this.epoch + 1);
  }
}

export class Shard {
  main: Branch;
  /** A master that was cut off and does not know it yet; those who still see it are answered by it. */
  old: Branch | undefined;
  /** Its replica does not keep up. */
  lagging = false;
  /** It has none. */
  alone = false;

  constructor(state: State) {
    this.main = new Branch(state, 1);
  }

  /** The master is gone; a replica that lacks all but the last `keep` of the writes nobody vouched for takes over. */
  failOver(keep = Infinity): void {
    this.main = this.main.survivor(keep === Infinity ? Number.MAX_SAFE_INTEGER : keep);
  }

  /**
   * Master and replicas are gone: it is written anew from Postgres, which lacked the last `lose` writes. What is held for others, or
   * by others, is due at once.
   */
  restore(lose: number, now: number): void {
    const { past, epoch } = this.main;
    const state = copyOf(past[Math.max(0, past.length - 1 - lose)]!);
    for (const [id, { phase }] of state.claims) if (phase === 'held') state.due.set(`c:${id}`, now);
    for (const [id, { phase, attempt }] of state.holds) if (phase === 'held' && attempt > 0) state.due.set(id, now);
    this.main = new Branch(state, epoch + 1);
  }

  cut(): void {
    this.old = this.main;
    this.main = this.main.survivor(Number.MAX_SAFE_INTEGER);
  }
}

/** Whoever calls: a process of its own. */
export interface Actor {
  readonly name: string;
  /** Has not noticed that a master was cut off. */
  behind: boolean;
  dead: boolean;
}

interface Call {
  readonly actor: Actor;
  readonly name: ScriptName;
  readonly partition: number;
  readonly ops: readonly object[];
  readonly ack: Ack;
  readonly settle: (answer: CallResult<object[]>) => void;
}

interface Timer {
  readonly at: number;
  readonly ring: () => void;
}

export class ClaimsWorld {
  now = 1_000_000;
  readonly shards: Shard[];
  readonly actors: Actor[] = [];
  readonly waiting: Call[] = [];
  readonly broken: string[] = [];
  /** What operators were told. */
  readonly notices: string[] = [];
  /** How the engine could be deceived: to show that what is checked here would notice. */
  deceit: 'none' | 'every WAIT succeeds' | 'epochs stay' = 'none';
  readonly partitions = new Partitions(PARTITIONS);
  private readonly timers = new Map<number, Timer>();
  private timerIds = 0;

  constructor(items: readonly string[]) {
    this.shards = Array.from({ length: PARTITIONS }, () => new Shard(new State()));
    for (const ref of items) {
      const { main } = this.shards[this.partitions.of(ref)]!;
      const level = { available: UNITS, reserved: 0, sold: 0, version: 1, updatedAt: 0 };
      main.state.items.set(ref, { ...level, settings: NO_SETTINGS });
      main.past[0] = copyOf(main.state);
    }
  }

  actor(name: string) {
    const actor: Actor = { name, behind: false, dead: false };
    this.actors.push(actor);
    const context: Context = {
      caller: this.callerOf(actor),
      partitions: this.partitions,
      ack: 'replicated',
      timeoutMs: 20_000,
      safeMs: 1_000,
      swept: (partition) => sweep(context, partition).then(() => undefined),
      notice: ({ message }) => void this.notices.push(message),
    };
    return {
      actor,
      context,
      ...reservationsApi(context),
      sweep: (partition: number) => sweep(context, partition),
    };
  }

  private callerOf(actor: Actor): Caller {
    const submit = (name: string, partition: number, ops: readonly object[], options: CallerOptions | undefined) =>
      new Promise<CallResult<object[]>>((settle) => {
        const ack = options?.ack ?? 'replicated';
        if (!actor.dead) this.waiting.push({ actor, name: name as ScriptName, partition, ops, ack, settle });
      });
    const call: Caller['call'] = async (script, partition, op, options) => {
      const answer = await submit(script.name, partition, [op as object], options);
      return { ...answer, result: answer.result[0] as never };
    };
    return {
      call,
      ask: askingBy(call),
      callOnce: async (script, partition, args, _ops, options) =>
        (await submit(script.name, partition, [args as object], options)) as never,
    };
  }

  /** Carries out one call: on the master its caller knows. */
  run(call: Call): void {
    const shard = this.shards[call.partition]!;
    const branch = shard.old && call.actor.behind ? shard.old : shard.main;
    const { rows, events, broken } = new Oracle(branch.state).call(call.name, call.ops, ++this.now);
    this.broken.push(...broken);
    const wrote = events.length > 0 || call.name === 'stock/touch';
    if (!READS.has(call.name)) branch.wrote();
    // A refusal changed nothing: there is nothing to vouch for.
    const asked = call.ack !== 'executed' && isDone((rows[0] as { status: StatusName }).status);
    const all = !shard.lagging && !shard.alone && branch !== shard.old;
    // WAIT vouches for what its own connection wrote, and is true for nothing where that was nothing.
    if (asked && all && wrote) branch.replicated = branch.past.length - 1;
    call.settle({
      result: rows as object[],
      partition: call.partition,
      epoch: this.deceit === 'epochs stay' ? 1 : branch.epoch,
      seq: 1,
      now: this.now,
      ack: asked && (all || this.deceit === 'every WAIT succeeds') ? 'replicated' : 'executed',
      alone: asked && shard.alone,
    });
  }

  /** The process dies: what it has sent and was not carried out is lost, and it hears of nothing any more. */
  kill(actor: Actor): void {
    actor.dead = true;
    for (let at = this.waiting.length - 1; at >= 0; at--)
      if (this.waiting[at]!.actor === actor) this.waiting.splice(at, 1);
  }

  /** True: somebody waited for the clock, which is there now. */
  ring(): boolean {
    let first: [number, Timer] | undefined;
    for (const entry of this.timers) if (!first || entry[1].at < first[1].at) first = entry;
    if (!first) return false;
    this.timers.delete(first[0]);
    this.now = Math.max(this.now, first[1].at);
    first[1].ring();
    return true;
  }

  /** Runs with this world's clock in place of the machine's. */
  async inItsTime<T>(work: () => Promise<T>): Promise<T> {
    const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout, now: performance.now };
    const later = <A extends unknown[]>(ring: (...args: A) => void, ms: number, ...args: A) => {
      const id = ++this.timerIds;
      this.timers.set(id, { at: this.now + ms, ring: () => ring(...args) });
      return { id, unref: () => undefined };
    };
    globalThis.setTimeout = later as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((timer?: { id: number }) =>
      void (timer && this.timers.delete(timer.id))) as unknown as typeof clearTimeout;
    performance.now = () => this.now;
    try {
      return await work();
    } finally {
      globalThis.setTimeout = real.setTimeout;
      globalThis.clearTimeout = real.clearTimeout;
      performance.now = real.now;
    }
  }
}

/** Lets every promise that can go on do so. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function copyOf(state: State): State {
  const copy = new State();
  for (const [ref, item] of state.items) copy.items.set(ref, item);
  for (const [id, hold] of state.holds) copy.holds.set(id, hold);
  for (const [id, claim] of state.claims) copy.claims.set(id, claim);
  for (const [member, time] of state.due) copy.due.set(member, time);
  return copy;
}

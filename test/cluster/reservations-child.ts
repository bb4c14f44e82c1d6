/**
 * A process of its own that works on reservations and, where it is told to, dies by SIGKILL at one of its script calls. The calls
 * are made one after another, so that what happened before is exactly known.
 */
import type { CallResult, Caller, CallerOptions } from '../../engine/caller.js';
import type { Context } from '../../engine/context.js';
import { openCore } from '../../engine/core.js';
import { reservationsApi, sweep } from '../../engine/reservations/index.js';
import type { Script } from '../../engine/scripts/script.js';
import type { Outcome, Reservation, ReservationsApi } from '../../engine/types.js';
import { askingBy } from '../support/asking.js';

export interface Start {
  readonly redis: string;
  readonly prefix: string;
  readonly partitions: number;
}

export interface Order {
  readonly method: keyof ReservationsApi | 'sweep';
  readonly args: readonly unknown[];
  /** Made this many times at once. Default 1. */
  readonly times?: number;
  /** Die instead of making the n-th script call, counted from 1 … */
  readonly dieBefore?: number;
  /** … or when it has been carried out, before the answer is heard. */
  readonly dieAfter?: number;
}

export interface Report {
  readonly outcomes: Outcome<Reservation>[];
  /** Script calls made, in order. */
  readonly calls: string[];
}

class MortalCaller implements Caller {
  order: Order | undefined;
  calls: string[] = [];
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly real: Caller) {}

  readonly ask = askingBy((...asked) => this.call(...asked));

  call<Op, R>(script: Script<void, Op, R>, partition: number, op: Op, options?: CallerOptions): Promise<CallResult<R>> {
    return this.next(script.name, () => this.real.call(script, partition, op, options));
  }

  callOnce<Args, Op, R>(
    script: Script<Args, Op, R>,
    partition: number,
    args: Args,
    ops?: readonly Op[],
    options?: CallerOptions,
  ): Promise<CallResult<R[]>> {
    return this.next(script.name, () => this.real.callOnce(script, partition, args, ops, options));
  }

  private next<T>(name: string, run: () => Promise<T>): Promise<T> {
    // Where nobody dies, calls go as they always do.
    const mortal = this.order?.dieBefore !== undefined || this.order?.dieAfter !== undefined;
    const result = mortal ? this.last.then(() => this.step(name, run)) : this.step(name, run);
    this.last = result.catch(() => undefined);
    return result;
  }

  private step<T>(name: string, run: () => Promise<T>): Promise<T> {
    this.calls.push(name);
    if (this.calls.length === this.order?.dieBefore) die();
    if (this.calls.length !== this.order?.dieAfter) return run();
    run().then(die, die);
    return new Promise(() => undefined);
  }
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

async function start({ redis, prefix, partitions }: Start): Promise<(order: Order) => Promise<Report>> {
  const core = await openCore({ redis, prefix, partitions, recovery: 'external', timeoutMs: 20_000 });
  await core.ready();
  const caller = new MortalCaller(core.caller);
  const context: Context = {
    caller,
    partitions: core.keys.partitions,
    ack: 'executed',
    timeoutMs: core.timeoutMs,
    safeMs: core.safeMs,
    swept: async (partition) => void (await sweep(context, partition)),
  };
  return async (order) => {
    caller.order = order;
    caller.calls = [];
    const api = reservationsApi(context) as unknown as Record<string, (...args: unknown[]) => Promise<never>>;
    const run = async () =>
      order.method === 'sweep'
        ? ((await sweep(context, order.args[0] as number)) as never)
        : api[order.method]!(...order.args);
    const outcomes = await Promise.all(Array.from({ length: order.times ?? 1 }, run));
    return { outcomes, calls: caller.calls };
  };
}

let work: ((order: Order) => Promise<Report>) | undefined;
process.on('message', (message: Start | Order) => {
  void (async () => {
    if (work) process.send!(await work(message as Order));
    else {
      work = await start(message as Start);
      process.send!({ outcomes: [], calls: [] });
    }
  })();
});
// Whoever started this is gone.
process.on('disconnect', () => process.exit(0));

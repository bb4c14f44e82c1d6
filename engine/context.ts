/** What every operation of a domain works with. */
import type { CallResult, Caller, CallerOptions } from './caller.js';
import { ShardUnavailable } from './errors.js';
import type { Deadline } from './outcome.js';
import type { Partitions } from './partitions.js';
import { stockTouch, type StockTouchResult } from './scripts/generated/stock-touch.js';
import type { Script } from './scripts/script.js';
import type { Ack, CallOptions, EngineOptions } from './types.js';

export interface Context {
  readonly caller: Caller;
  readonly partitions: Partitions;
  /** Ack and deadline of calls that do not choose. */
  readonly ack: Ack;
  readonly timeoutMs: number;
  /** For a call between partitions that waits until replicas have it (with `replicatedOnDisk`: disks), while its shard is well. */
  readonly safeMs: number;
  /** Resolves when what is due in a partition, as of now, has expired. */
  readonly swept: (partition: number) => Promise<void>;
  /** Hears of things an operator should know. */
  readonly notice?: EngineOptions['onNotice'];
}

export function ackOf(context: Context, options: CallOptions | undefined): Ack {
  return options?.ack ?? context.ack;
}

export function timeoutOf(context: Context, options: CallOptions | undefined): number {
  return options?.timeoutMs ?? context.timeoutMs;
}

/**
 * Calls a script that changes something. An answer `exists` wrote nothing, so that a wider ack is asked for again behind a
 * write of its own: otherwise WAIT would vouch for nothing.
 */
export function change<Op, R extends { readonly status: string }>(
  context: Context,
  script: Script<void, Op, R>,
  partition: number,
  op: Op,
  options: CallerOptions & { readonly ack: Ack; readonly id: string },
): Promise<CallResult<R>> {
  const asked = context.caller.call(script, partition, op, options);
  return options.ack === 'executed' ? asked : asked.then((answer) => backed(context, partition, options, answer));
}

/** The answer of a call that changes something, as change() gives it. */
export function backed<R extends { readonly status: string }>(
  context: Context,
  partition: number,
  options: CallerOptions & { readonly ack: Ack },
  answer: CallResult<R>,
): CallResult<R> | Promise<CallResult<R>> {
  const vouching = options.ack !== 'executed' && answer.result.status === 'exists';
  return vouching ? vouched(context, partition, options, answer) : answer;
}

/** Under another epoch the partition was opened anew meanwhile, and may be without what was answered: nothing is vouched for then. */
async function vouched<R>(
  context: Context,
  partition: number,
  options: CallerOptions,
  answer: CallResult<R>,
): Promise<CallResult<R>> {
  const touched = await touch(context, partition, options);
  if (touched?.epoch !== answer.epoch) return { ...answer, ack: 'executed', alone: false };
  return { ...answer, ack: touched.ack, alone: touched.alone };
}

/** The ack that everything written in the partition until now has reached; `executed` where it cannot be told. */
export async function vouch(context: Context, partition: number, options: CallerOptions): Promise<Ack> {
  return (await touch(context, partition, options))?.ack ?? 'executed';
}

async function touch(
  context: Context,
  partition: number,
  options: CallerOptions,
): Promise<CallResult<StockTouchResult> | undefined> {
  try {
    // The id only says for whom; what the call is about need not be one (configure: an item).
    const touched = await context.caller.call(stockTouch, partition, { id: '-' }, options);
    return touched.result.status === 'ok' ? touched : undefined;
  } catch {
    return undefined;
  }
}

/** What one partition decides for others is told them only once it is safe: no single loss takes it back. */
export function atLeastReplicated(ack: Ack): Ack {
  return ack === 'executed' ? 'replicated' : ack;
}

/** Whether no loss of a node takes the answer back, of a call that asked for `replicated` at least. */
export function isSafe({ ack, alone }: Pick<CallResult<unknown>, 'ack' | 'alone'>): boolean {
  return ack !== 'executed' || alone === true;
}

/**
 * Whether what a partition has answered, last under `epoch`, is safe: replicated, or else persisted, or its shard has no replicas.
 * The touch is a write behind all that the answer rests on. A master that was cut off gets no replica to take it, and one that
 * took over meanwhile has another epoch: so neither an old answer nor one that may be taken back is ever vouched for.
 * @param by what is tried, one after the other; waiting for Postgres takes until the deadline where nobody writes to it.
 */
export async function isVouchedFor(
  context: Context,
  partition: number,
  epoch: number,
  options: CallerOptions,
  by: readonly Ack[] = ['replicated', 'durable'],
): Promise<boolean> {
  for (const ack of by) {
    const touched = await touch(context, partition, { ...options, ack });
    if (touched?.epoch !== epoch) return false;
    if (isSafe(touched)) return true;
  }
  return false;
}

/** Part of a caller's time that is spent waiting for a sweep; the rest is for asking again. */
const SWEEP_SHARE = 0.75;

/**
 * Asks once more after the partition was swept: for calls that lack units which may only wait for that. (S9)
 * A sweep may have to wait for other shards; whoever asked here is answered by its own deadline.
 * @throws ShardUnavailable when by then units are still missing that the sweep has not come to: they may or may not come back
 */
export async function afterSweep<R extends { readonly status: string; readonly overdue?: number }>(
  context: Context,
  partition: number,
  deadline: Deadline,
  ask: () => Promise<CallResult<R>>,
): Promise<CallResult<R>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, deadline.left() * SWEEP_SHARE, false);
  });
  const swept = context.swept(partition).then(
    () => true,
    () => false,
  );
  const ended = await Promise.race([swept, late]);
  clearTimeout(timer);
  const answer = await ask();
  if (!ended && answer.result.status === 'insufficient_stock' && (answer.result.overdue ?? 0) > 0)
    throw new ShardUnavailable('Holds that are over could not all be looked at in time; nothing was changed.', {
      partition,
    });
  return answer;
}

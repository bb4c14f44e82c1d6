/** What every operation of a domain works with. */
import type { CallResult, Caller, CallerOptions } from './caller.js';
import type { Partitions } from './partitions.js';
import { stockTouch } from './scripts/generated/stock-touch.js';
import type { Script } from './scripts/script.js';
import type { Ack, CallOptions } from './types.js';

export interface Context {
  readonly caller: Caller;
  readonly partitions: Partitions;
  /** Ack and deadline of calls that do not choose. */
  readonly ack: Ack;
  readonly timeoutMs: number;
  /** Resolves when what is due in a partition, as of now, has expired. */
  readonly swept: (partition: number) => Promise<void>;
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
export async function change<Op, R extends { readonly status: string }>(
  context: Context,
  script: Script<void, Op, R>,
  partition: number,
  op: Op,
  options: CallerOptions & { readonly ack: Ack; readonly id: string },
): Promise<CallResult<R>> {
  const answer = await context.caller.call(script, partition, op, options);
  if (answer.result.status !== 'exists' || options.ack === 'executed') return answer;
  // The id only says for whom; what the call is about need not be one (configure: an item).
  const touched = await context.caller.call(stockTouch, partition, { id: '-' }, options);
  return touched.result.status === 'ok' ? { ...answer, ack: touched.ack } : answer;
}

/**
 * How domains (`stock`, `reservations`, later `seats`, `room`) reach the partitions. The batcher stands behind it.
 */
import type { Script } from './scripts/script.js';
import type { Ack } from './types.js';

export interface CallResult<R> {
  readonly result: R;
  readonly partition: number;
  readonly epoch: number;
  /** The partition's last event number after the script call that carried this operation. */
  readonly seq: number;
  /** The node's clock inside the script, in ms. */
  readonly now: number;
  /** The ack that was reached: the one asked for, or the widest before the deadline. */
  readonly ack: Ack;
  /** More than `executed` was asked for and the shard has no replicas: there is nobody who could take over without it. */
  readonly alone?: boolean;
}

export interface CallerOptions {
  /** The engine's default otherwise. */
  readonly ack?: Ack;
  /** Milliseconds from now; the engine's default otherwise. */
  readonly timeoutMs?: number;
  /** The id under which the operation can be asked for again; carried by OutcomeUnknown. */
  readonly id?: string;
  /**
   * `false` for the rare write that carries no id and answers differently the second time: then it is never sent again
   * after a lost connection. Reads and writes that answer `exists` leave it out.
   */
  readonly repeatable?: boolean;
}

/** Takes the answer of one call; one of the two is called, once, and must not throw. */
export interface Taker<R> {
  /** As in {@link CallerOptions}. */
  readonly id?: string;
  answered(answer: CallResult<R>): void;
  failed(error: Error): void;
}

/** Takes an answer without a promise for it: where one call is the whole of what a caller waits for. */
export interface Asker<R> extends Taker<R> {
  readonly ack: Ack;
  /** Deadline, by performance.now(). */
  readonly until: number;
}

/**
 * Rejects with the typed errors of `errors.ts`: ShardUnavailable and Overloaded (not executed), OutcomeUnknown (may have been),
 * InvalidArgument, EngineClosed. Statuses of the operation itself are part of the result, never thrown.
 */
export interface Caller {
  /** One operation of a vectorised script, gathered with others of the same partition and script. */
  call<Op, R>(script: Script<void, Op, R>, partition: number, op: Op, options?: CallerOptions): Promise<CallResult<R>>;
  /** The same, of an operation that may be repeated; the asker is told what `call` resolves or rejects with. */
  ask<Op, R>(script: Script<void, Op, R>, partition: number, op: Op, asker: Asker<R>): void;
  /** A script call of its own: scripts with `@arg`s. `ops` are the `@each` part of that one call; empty where there is none. */
  callOnce<Args, Op, R>(
    script: Script<Args, Op, R>,
    partition: number,
    args: Args,
    ops?: readonly Op[],
    options?: CallerOptions,
  ): Promise<CallResult<R[]>>;
}

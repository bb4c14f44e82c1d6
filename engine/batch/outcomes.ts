/**
 * What becomes of the calls of a flight.
 *
 * Safety rests on three rules. A call is sent again only when the reply proves that it did not run, or when its operation is
 * repeatable by id. A connection that ended is never used to guess an outcome. An answer never claims a wider ack than was seen.
 */
import type { CallResult } from '../caller.js';
import {
  type EngineError,
  InvalidArgument,
  OutcomeUnknown,
  Overloaded,
  ScriptFailed,
  ShardUnavailable,
} from '../errors.js';
import { type AskedWait, type FellShort, hasAll } from '../redis/acks.js';
import type { Endpoint } from '../redis/address.js';
import type { Reply } from '../redis/connection.js';
import { statuses } from '../scripts/generated/statuses.js';
import { locateError, REPLY_HEADER, type ReplyValue, runLength } from '../scripts/script.js';
import { type Batch, DURABLE, EXECUTED, type Pending } from './batch.js';
import type { Flight } from './flight.js';
import { verdictOf } from './replies.js';
import type { Waiting } from './waiting.js';

const FENCED = statuses.fenced.number;
const EXISTS = statuses.exists.number;
const INVALID = statuses.invalid_argument.number;

export interface OutcomeHost {
  readonly closed: boolean;
  /** Sends the calls again in a batch of their own; `alone`: each in one, so that it cannot spoil others. */
  resend(batch: Batch, pendings: readonly Pending[], alone: boolean): void;
  /** No call of the batch waits any more. */
  gone(batch: Batch): void;
  /** The call ran and waits for Postgres; `reached` is what it has until then. */
  durable(pending: Pending, reached: CallResult<unknown>): void;
  /** The calls of the batch were carried out or refused, as `cells` say. */
  ran(batch: Batch, cells: ReplyValue[]): void;
  fenced(partition: number, flight: Flight): void;
  stale(hint?: Endpoint): void;
}

export class Outcomes {
  private widened: { readonly executed: CallResult<unknown>; readonly wider: CallResult<unknown> } | undefined;

  constructor(
    private readonly waiting: Waiting,
    private readonly host: OutcomeHost,
    private readonly notOnDisk: FellShort,
  ) {}

  replied(flight: Flight, batch: Batch, reply: Reply): void {
    const status = Array.isArray(reply) ? reply[0] : undefined;
    if (status === 0) {
      try {
        this.distribute(flight, batch, textCells(reply as Reply[]));
      } catch (error) {
        this.broken(batch, (error as Error).message, error);
      }
    } else if (status === FENCED) this.fenced(flight, batch);
    else if (status === INVALID && batch.pendings.length > 1) this.host.resend(batch, unsettled(batch), true);
    else this.refused(batch, status);
  }

  private distribute(flight: Flight, batch: Batch, cells: ReplyValue[]): void {
    const { script, pendings } = batch;
    const expected = script.vectorised ? (batch.once ? batch.once.ops.length : pendings.length) : 1;
    const results: unknown[] = [];
    let row = 0;
    for (let at = REPLY_HEADER; at < cells.length; at += 1 + script.width) {
      const end = row + runLength(script, cells, at, expected - row);
      const result: unknown = script.decodeRow(cells, at + 1);
      if (batch.once) for (; row < end; row++) results.push(result);
      else {
        // Who is answered the same shares the answer.
        const executed = executedOf(batch, result, cells, false);
        const wider = flight.withWait ? executed : executedOf(batch, result, cells, true);
        const refused = (cells[at + 1] as number) > EXISTS;
        for (; row < end; row++) {
          const pending = pendings[row]!;
          this.ran(flight, batch, pending, pending.ack === EXECUTED ? executed : wider, refused);
        }
      }
    }
    if (row !== expected) throw new Error(`${cells.length} cells are ${row} rows, not ${expected}`);
    if (batch.once) {
      const alone = pendings[0]!.ack !== EXECUTED && !flight.withWait;
      this.ran(flight, batch, pendings[0]!, executedOf(batch, results, cells, alone), false);
    }
    flight.ran.push(batch);
    this.host.ran(batch, cells);
    if (batch.live === 0) this.host.gone(batch);
  }

  /** `refused`: it changed nothing, so there is nothing that a wider ack could promise. */
  private ran(flight: Flight, batch: Batch, pending: Pending, executed: CallResult<unknown>, refused: boolean): void {
    if (pending.settled) return;
    if (refused || pending.ack === EXECUTED) batch.resolve(pending, executed);
    else {
      pending.executed = executed;
      if (!flight.withWait) this.acknowledged(batch, pending, undefined);
    }
  }

  waited(flight: Flight, wait: AskedWait, reply: Reply | Error): void {
    const all = hasAll(wait, reply);
    this.waiting.stationOf(flight.link)?.wait.answered(wait, all);
    if (!all && wait.onDisk) this.notOnDisk(flight.link.master, wait, reply);
    for (const batch of flight.ran) {
      for (const pending of batch.pendings)
        if (pending.executed && !pending.settled) this.acknowledged(batch, pending, all ? wait : undefined);
      if (batch.live === 0) this.host.gone(batch);
    }
  }

  /** `had`: what was waited for and is there. */
  private acknowledged(batch: Batch, pending: Pending, had: AskedWait | undefined): void {
    const reached = had ? this.widenedOf(pending.executed!, had) : pending.executed!;
    if (pending.ack !== DURABLE) batch.resolve(pending, reached);
    else if (!pending.elsewhere) {
      pending.elsewhere = true;
      batch.ended();
      this.host.durable(pending, reached);
    }
  }

  /** Who is answered the same shares the wider answer as well. */
  private widenedOf(executed: CallResult<unknown>, { replicas }: AskedWait): CallResult<unknown> {
    if (this.widened?.executed !== executed) {
      // One node is one node, also with a disk: it has it as safely as it can, and is not called a replica.
      const wider = replicas > 0 ? { ...executed, ack: 'replicated' as const } : { ...executed, alone: true };
      this.widened = { executed, wider };
    }
    return this.widened.wider;
  }

  failed(flight: Flight, batch: Batch, error: Error): void {
    const lot = this.waiting.lots[batch.partition]!;
    const verdict = verdictOf(error);
    switch (verdict.kind) {
      case 'moved':
        this.waiting.pause(lot, 10);
        this.host.stale(verdict.to && { ...verdict.to, host: verdict.to.host || flight.link.master.endpoint.host });
        return this.again(batch);
      case 'later':
        this.waiting.pause(lot, verdict.pauseMs);
        if (verdict.refresh) this.host.stale();
        return this.again(batch);
      case 'noscript':
        return this.fenced(flight, batch);
      case 'memory':
        return this.rejectUnrun(batch, (details) => new Overloaded('The shard is out of memory.', details));
      case 'refused':
        return this.rejectUnrun(
          batch,
          (details) => new ShardUnavailable(`The shard refused: ${error.message}`, details),
        );
      case 'broken':
        return this.broken(batch, locateError(batch.script, error.message), error);
    }
  }

  /** The connection ended before the batch was answered. */
  lost(batch: Batch): void {
    const again: Pending[] = [];
    for (const pending of batch.pendings) {
      if (pending.settled || pending.executed) continue;
      if (!batch.script.readonly) pending.maybe = true;
      if (pending.repeatable && !this.host.closed) again.push(pending);
      else batch.reject(pending, unknownOutcome(batch.partition, pending));
    }
    if (again.length > 0) this.host.resend(batch, again, false);
    else if (batch.live === 0) this.host.gone(batch);
  }

  /** Answers every call of the batch whose deadline is at or before `now`. */
  expire(batch: Batch, now: number): void {
    const flying = batch.place === 'flying' && !batch.script.readonly;
    let next = Infinity;
    for (const pending of batch.pendings) {
      if (pending.settled || pending.elsewhere) continue;
      if (pending.deadline > now) {
        if (pending.deadline < next) next = pending.deadline;
      } else if (pending.executed) batch.resolve(pending, pending.executed);
      else if (pending.maybe || flying) batch.reject(pending, unknownOutcome(batch.partition, pending));
      else batch.reject(pending, notTaken(batch.partition, pending));
    }
    batch.nextDeadline = next;
    // A flying batch stays until its flight is over: its replies still have to find it.
    if (batch.live === 0 && batch.place !== 'flying') this.host.gone(batch);
  }

  /** The batch as it is once more; the replies proved that nothing of it ran. */
  private again(batch: Batch): void {
    if (batch.live === 0) this.host.gone(batch);
    else if (this.host.closed)
      this.rejectUnrun(batch, (details) => new ShardUnavailable('The engine is closing.', details));
    else this.waiting.queue(batch);
  }

  private fenced(flight: Flight, batch: Batch): void {
    const lot = this.waiting.lots[batch.partition]!;
    // Only what the partition's present node says counts; the old node of a moved partition stays fenced.
    if (lot.link === flight.link && !this.host.closed) {
      this.waiting.hold(lot);
      this.host.fenced(lot.partition, flight);
    }
    this.again(batch);
  }

  private refused(batch: Batch, status: Reply | undefined): void {
    const entry = Object.values(statuses).find(({ number }) => number === status);
    const text = entry ? `${entry.title}: ${entry.description}` : 'a reply that is none';
    if (!entry) this.broken(batch, text, undefined);
    else if (entry.kind === 'retryable') this.rejectUnrun(batch, (details) => new ShardUnavailable(text, details));
    else this.rejectAll(batch, (details) => new InvalidArgument(`${batch.script.name}: ${text}`, details));
  }

  private broken(batch: Batch, text: string, cause: unknown): void {
    this.rejectAll(batch, (details) => new ScriptFailed(`${batch.script.name}: ${text}`, { ...details, cause }));
  }

  /** The call did not run this time. Where it was sent before and never answered, that says nothing of what became of it then. */
  private rejectUnrun(
    batch: Batch,
    make: (details: { partition: number; id: string | undefined }) => EngineError,
  ): void {
    for (const pending of batch.pendings)
      if (pending.maybe && !pending.elsewhere) batch.reject(pending, unknownOutcome(batch.partition, pending));
    this.rejectAll(batch, make);
  }

  private rejectAll(batch: Batch, make: (details: { partition: number; id: string | undefined }) => Error): void {
    for (const pending of batch.pendings)
      if (!pending.settled && !pending.elsewhere)
        batch.reject(pending, make({ partition: batch.partition, id: pending.id }));
    this.host.gone(batch);
  }
}

function executedOf(batch: Batch, result: unknown, cells: ReplyValue[], alone: boolean): CallResult<unknown> {
  return {
    result,
    partition: batch.partition,
    epoch: cells[1] as number,
    seq: cells[2] as number,
    now: cells[3] as number,
    ack: 'executed',
    alone,
  };
}

export function unsettled(batch: Batch): Pending[] {
  return batch.pendings.filter((pending) => !pending.settled);
}

export function unknownOutcome(partition: number, { id }: Pending): OutcomeUnknown {
  return new OutcomeUnknown('It is not known whether the call was executed; ask again under the same id.', {
    partition,
    id,
  });
}

function notTaken(partition: number, { id }: Pending): ShardUnavailable {
  return new ShardUnavailable('The shard did not take the call in time; it was not executed.', { partition, id });
}

/** Strings arrive as bytes; a cell without a value is empty. */
function textCells(cells: Reply[]): ReplyValue[] {
  for (let i = REPLY_HEADER; i < cells.length; i++) {
    const cell = cells[i];
    if (typeof cell !== 'number') (cells as unknown[])[i] = cell === null ? '' : (cell as Buffer).toString();
  }
  return cells as ReplyValue[];
}

/** Fills pipelines from what waits at a station. */
import { InvalidArgument } from '../errors.js';
import { type Batch, type BatchQueue, EXECUTED } from './batch.js';
import type { Encoder } from './encode.js';
import { type OutcomeHost, type Outcomes, unsettled } from './outcomes.js';
import type { Station, Waiting } from './waiting.js';

export interface Load {
  readonly batches: Batch[];
  payload: string;
  /** Widest ack that a call asks for. */
  ack: number;
  lastDeadline: number;
}

export class Loader {
  constructor(
    private readonly waiting: Waiting,
    private readonly encoder: Encoder,
    private readonly opsPerPipeline: number,
    private readonly outcomes: Outcomes,
    private readonly host: Pick<OutcomeHost, 'resend' | 'gone'>,
  ) {}

  /** Takes batches from the front of the queue, up to one pipeline. */
  load(station: Station, queue: BatchQueue): Load {
    const load: Load = { batches: [], payload: '', ack: EXECUTED, lastDeadline: 0 };
    let ops = 0;
    while (ops < this.opsPerPipeline) {
      const batch = queue.shift();
      if (!batch) break;
      const lot = this.waiting.lots[batch.partition]!;
      if (lot.open.get(batch.script) === batch) lot.open.delete(batch.script);
      if (lot.closed || lot.link !== station.link) {
        this.waiting.queue(batch);
        continue;
      }
      const command = this.encode(batch);
      if (command === undefined) continue;
      batch.countAt(undefined);
      batch.place = 'flying';
      load.payload += command;
      load.batches.push(batch);
      if (batch.ack > load.ack) load.ack = batch.ack;
      if (batch.lastDeadline > load.lastDeadline) load.lastDeadline = batch.lastDeadline;
      ops += batch.once ? batch.once.ops.length + 1 : batch.pendings.length;
    }
    return load;
  }

  /** The command of a batch; undefined when it is not to be sent as it is. */
  private encode(batch: Batch): string | undefined {
    if (batch.live < batch.pendings.length || batch.nextDeadline <= performance.now()) {
      this.outcomes.expire(batch, performance.now());
      // Whoever was told that nothing was executed must not be sent: the others travel in a batch of their own.
      if (batch.live < batch.pendings.length) {
        this.host.resend(batch, unsettled(batch), false);
        return undefined;
      }
    }
    try {
      return this.encoder.evalsha(batch);
    } catch (error) {
      const [first] = batch.pendings;
      if (batch.pendings.length > 1) this.host.resend(batch, unsettled(batch), true);
      else {
        batch.reject(first!, malformed(batch.partition, first!.id, error));
        this.host.gone(batch);
      }
      return undefined;
    }
  }
}

export function malformed(partition: number, id: string | undefined, cause: unknown): InvalidArgument {
  return new InvalidArgument('the call cannot be encoded: an argument is missing or of the wrong type', {
    partition,
    id,
    cause,
  });
}

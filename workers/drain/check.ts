import type { LogEvent } from '../../engine/types.js';
import { kindName } from '../kinds.js';
import { LogGap, PoisonEvent } from './errors.js';

/**
 * A partition's row of `positions`. `epoch`, `seq`: the last event persisted. `fence`: the newest epoch announced, which begins after
 * event `openedAfter`.
 */
export interface Position {
  readonly partition: number;
  readonly fence: number;
  readonly openedAfter: number;
  readonly epoch: number;
  readonly seq: number;
}

const INTEGERS = [
  'epoch',
  'seq',
  'at',
  'kind',
  'quantity',
  'available',
  'reserved',
  'sold',
  'version',
  'deadline',
  'fingerprint',
  'attempt',
] as const;

/** Throws LogGap or PoisonEvent unless `events` are well-formed and go on right after the position, number by number. */
export function checkBatch(position: Position, events: readonly LogEvent[]): void {
  let epoch = position.epoch;
  let seq = position.seq;
  for (const event of events) {
    for (const field of INTEGERS) {
      if (!Number.isSafeInteger(event[field])) throw new PoisonEvent(event, `${field} is not an integer`);
    }
    if (typeof event.ref !== 'string' || typeof event.id !== 'string')
      throw new PoisonEvent(event, 'ref or id is not a text');
    if (typeof event.actor !== 'string' || typeof event.detail !== 'string') {
      throw new PoisonEvent(event, 'actor or detail is not a text');
    }
    if (kindName(event.kind) === undefined) throw new PoisonEvent(event, 'this version does not know the kind');
    if (event.seq !== seq + 1) {
      throw new LogGap(
        position.partition,
        `the log goes on with event ${event.epoch}-${event.seq} after ${epoch}-${seq}: ${event.seq > seq ? 'events are missing' : 'numbers repeat'}`,
      );
    }
    if (event.epoch < epoch)
      throw new LogGap(
        position.partition,
        `event ${event.epoch}-${event.seq} is of an older epoch than ${epoch}-${seq}`,
      );
    epoch = event.epoch;
    seq = event.seq;
  }
}

/**
 * Whether every event may be persisted: of the announced epoch (or a newer one), or of an older one but from before the announced
 * epoch began. Anything else was written by a master that had been cut off. (FAULTS 3, 4)
 */
export function isOfThisHistory(position: Position, events: readonly LogEvent[]): boolean {
  return events.every((event) => event.epoch >= position.fence || event.seq <= position.openedAfter);
}

import type { LogEvent } from '../../engine/types.js';
import { kindName } from '../kinds.js';
import { LogGap, PoisonEvent } from './errors.js';
import type { Opening } from './openings.js';

/**
 * How far a partition is persisted. `epoch`, `seq`: the last event. `fence`: the newest epoch announced. `openings`: what was
 * announced after `epoch`, newest first. `link`: hash of the ledger's link that ends there (chain.ts), empty where there is none.
 */
export interface Position {
  readonly partition: number;
  readonly fence: number;
  readonly openings: readonly Opening[];
  readonly epoch: number;
  readonly seq: number;
  readonly link: Buffer;
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

/** Written out field by field: it is asked of every event, and a loop over names takes ten times as long. */
function isWellFormed(event: LogEvent): boolean {
  return (
    Number.isSafeInteger(event.epoch) &&
    Number.isSafeInteger(event.seq) &&
    Number.isSafeInteger(event.at) &&
    Number.isSafeInteger(event.kind) &&
    Number.isSafeInteger(event.quantity) &&
    Number.isSafeInteger(event.available) &&
    Number.isSafeInteger(event.reserved) &&
    Number.isSafeInteger(event.sold) &&
    Number.isSafeInteger(event.version) &&
    Number.isSafeInteger(event.deadline) &&
    Number.isSafeInteger(event.fingerprint) &&
    Number.isSafeInteger(event.attempt) &&
    typeof event.ref === 'string' &&
    typeof event.id === 'string' &&
    typeof event.actor === 'string' &&
    typeof event.detail === 'string' &&
    kindName(event.kind) !== undefined
  );
}

/** What is wrong with an event that is not well-formed. */
function malformation(event: LogEvent): string {
  for (const field of INTEGERS) if (!Number.isSafeInteger(event[field])) return `${field} is not an integer`;
  if (typeof event.ref !== 'string' || typeof event.id !== 'string') return 'ref or id is not a text';
  if (typeof event.actor !== 'string' || typeof event.detail !== 'string') return 'actor or detail is not a text';
  return 'this version does not know the kind';
}

/** Throws LogGap or PoisonEvent unless `events` are well-formed and go on right after the position, number by number. */
export function checkBatch(position: Position, events: readonly LogEvent[]): void {
  let { epoch, seq } = position;
  for (const event of events) {
    if (!isWellFormed(event)) throw new PoisonEvent(event, malformation(event));
    if (event.seq !== seq + 1) {
      throw new LogGap(
        position.partition,
        `the log goes on with event ${event.epoch}-${event.seq} after ${epoch}-${seq}: ${event.seq > seq ? 'events are missing' : 'numbers repeat'}`,
      );
    }
    if (event.epoch < epoch) {
      throw new LogGap(
        position.partition,
        `event ${event.epoch}-${event.seq} is of an older epoch than ${epoch}-${seq}`,
      );
    }
    epoch = event.epoch;
    seq = event.seq;
  }
}

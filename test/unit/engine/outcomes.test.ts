import t from 'tap';
import { Batch, Pending } from '../../../engine/batch/batch.js';
import { Flight, type FlightEvents } from '../../../engine/batch/flight.js';
import { type OutcomeHost, Outcomes } from '../../../engine/batch/outcomes.js';
import { DEFAULT_TUNING } from '../../../engine/batch/tuning.js';
import { Waiting } from '../../../engine/batch/waiting.js';
import { type EngineError, OutcomeUnknown, Overloaded, ShardUnavailable } from '../../../engine/errors.js';
import type { Lane, Link } from '../../../engine/redis/link.js';
import { stockTouch } from '../../../engine/scripts/generated/stock-touch.js';
import { statuses } from '../../../engine/scripts/generated/statuses.js';
import { stockReserve, type StockReserveOp } from '../../../engine/scripts/generated/stock-reserve.js';

const LIMITS = { ops: 4, items: 5, mentions: 8 };
const OP: StockReserveOp = {
  id: 'r1',
  fingerprint: 12,
  attempt: 0,
  buyer: '',
  hold: 0,
  room: '',
  actor: '',
  lines: [{ item: 'a:1', quantity: 1 }],
};

/** A call in a batch of its own, and what it was rejected with. */
function sent() {
  const host = { closed: false, resent: [] as Pending[] };
  const outcomes = new Outcomes(
    { lots: [{ closed: true }] } as unknown as Waiting,
    {
      get closed() {
        return host.closed;
      },
      resend: (_: Batch, pendings: Pending[]) => host.resent.push(...pendings),
      gone: () => undefined,
    } as unknown as OutcomeHost,
    () => undefined,
  );
  const found: { error?: EngineError } = {};
  const pending = new Pending(OP, Infinity, 0, true, {
    id: 'r1',
    answered: () => undefined,
    failed: (error) => (found.error = error as EngineError),
  });
  const inBatch = (): Batch => {
    const batch = new Batch(stockReserve, 0);
    batch.add(pending, LIMITS);
    batch.place = 'flying';
    return batch;
  };
  return { host, outcomes, found, inBatch };
}

const flight = {} as Flight;
const ends: [name: string, expected: typeof Overloaded, end: (outcomes: Outcomes, batch: Batch) => void][] = [
  ['out of memory', Overloaded, (o, b) => o.failed(flight, b, new Error('OOM command not allowed'))],
  ['no rights', ShardUnavailable, (o, b) => o.failed(flight, b, new Error('NOPERM no permissions'))],
  ['a status to retry', ShardUnavailable, (o, b) => o.replied(flight, b, [statuses.epoch_conflict.number])],
];

for (const [name, expected, end] of ends)
  t.test(`not executed (${name}): said so, unless it was sent before and may have been executed then`, async (t) => {
    const once = sent();
    end(once.outcomes, once.inBatch());
    t.ok(once.found.error instanceof expected);

    const twice = sent();
    twice.outcomes.lost(twice.inBatch());
    t.equal(twice.host.resent.length, 1, 'sent again after a lost connection');
    end(twice.outcomes, twice.inBatch());
    t.ok(twice.found.error instanceof OutcomeUnknown, twice.found.error?.code ?? 'nothing');
  });

t.test(
  'a WAIT vouches for what ran in its own flight, not for what was turned away and ran in a later one',
  async (t) => {
    const waiting = new Waiting(2, DEFAULT_TUNING, () => undefined);
    const link = { master: { id: 'm' }, writeLanes: [], readLanes: [] } as unknown as Link;
    waiting.add(link);
    for (const lot of waiting.lots) lot.link = link;
    const nothing = () => undefined;
    const gone = (batch: Batch) => void (batch.place = 'gone');
    const host = { closed: false, ran: nothing, stale: nothing, gone } as unknown as OutcomeHost;
    const outcomes = new Outcomes(waiting, host, nothing);
    const events: FlightEvents = {
      replied: (flight, batch, reply) => outcomes.replied(flight, batch, reply),
      failed: (flight, batch, error) => outcomes.failed(flight, batch, error),
      lost: (_, batch) => outcomes.lost(batch),
      waited: (flight, wait, reply) => outcomes.waited(flight, wait, reply),
      landed: nothing,
    };
    const told: string[] = [];
    const [here, there] = [0, 1].map((partition) => {
      const batch = new Batch(stockTouch, partition);
      const answered = ({ ack }: { ack: string }) => told.push(`${partition} ${ack}`);
      batch.add(
        new Pending({ id: '-' }, Infinity, 1, true, { id: '-', answered, failed: (error) => t.fail(error.message) }),
        LIMITS,
      );
      batch.place = 'flying';
      return batch;
    }) as [Batch, Batch];
    const wait = { command: '', replicas: 1, onDisk: false, timeoutMs: 1_000, telling: true };
    const flightOf = (...batches: Batch[]) => new Flight(link, {} as Lane, batches, wait, 0, events);
    const done = (seq: number) => [0, 5, seq, 1, 1, ...Array<number>(stockTouch.width).fill(0)];

    const first = flightOf(here, there);
    first.reply(0, done(1));
    first.failed(1, new Error('TRYAGAIN Multiple keys request during rehashing of slot'));
    const second = flightOf(there);
    second.reply(0, done(2));
    first.reply(2, 1);
    t.strictSame(told, ['0 replicated'], 'one replica has what the first flight wrote');
    second.reply(1, 0);
    t.strictSame(told, ['0 replicated', '1 executed'], 'and none what the second one wrote');
  },
);

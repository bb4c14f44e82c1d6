import t from 'tap';
import { Batch, Pending } from '../../../engine/batch/batch.js';
import type { Flight } from '../../../engine/batch/flight.js';
import { type OutcomeHost, Outcomes } from '../../../engine/batch/outcomes.js';
import type { Waiting } from '../../../engine/batch/waiting.js';
import { type EngineError, OutcomeUnknown, Overloaded, ShardUnavailable } from '../../../engine/errors.js';
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

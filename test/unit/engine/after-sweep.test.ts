import t from 'tap';
import type { CallResult } from '../../../engine/caller.js';
import { afterSweep, type Context } from '../../../engine/context.js';
import { ShardUnavailable } from '../../../engine/errors.js';
import { Deadline } from '../../../engine/outcome.js';

interface Answer {
  readonly status: string;
  readonly overdue?: number;
}

const answer = (result: Answer): CallResult<Answer> => ({
  result,
  partition: 0,
  epoch: 1,
  seq: 1,
  now: 0,
  ack: 'executed',
});
const context = (swept: () => Promise<void>) => ({ swept }) as unknown as Context;
const never = () => new Promise<void>(() => undefined);
const missing = { status: 'insufficient_stock', overdue: 1 };

t.test('a sweep that does not end does not hold up who asked; what is not known is not called sold out', async (t) => {
  const asked = () => Promise.resolve(answer(missing));
  await t.rejects(afterSweep(context(never), 0, new Deadline(40), asked), ShardUnavailable);
});

t.test('units that a long sweep has brought back by then are given', async (t) => {
  const found = await afterSweep(context(never), 0, new Deadline(40), () => Promise.resolve(answer({ status: 'ok' })));
  t.equal(found.result.status, 'ok');
});

t.test('a sweep that fails: what it came to counts, what it did not come to is not called sold out', async (t) => {
  const after = (result: Answer) =>
    afterSweep(
      context(() => Promise.reject(new Error('a shard is away'))),
      0,
      new Deadline(10_000),
      () => Promise.resolve(answer(result)),
    );
  t.equal((await after({ status: 'ok' })).result.status, 'ok');
  t.equal((await after({ status: 'insufficient_stock', overdue: 0 })).result.status, 'insufficient_stock');
  await t.rejects(after(missing), ShardUnavailable);
});

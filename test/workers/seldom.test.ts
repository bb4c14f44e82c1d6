/** What comes up at every turn is said once in a while. */
import t from 'tap';
import { isAway } from '../../workers/drain/errors.js';
import { Seldom } from '../../workers/ops/seldom.js';

t.test('the same is said again after a while, with how often it was not', async (t) => {
  let now = 5_000;
  const seldom = new Seldom(1_000, () => now);
  t.equal(seldom.say('a'), 0);
  for (let n = 0; n < 60; n++) t.equal(seldom.say('a'), undefined);
  t.equal(seldom.say('b'), 0, 'something else is said at once');
  now += 999;
  t.equal(seldom.say('a'), undefined);
  now++;
  t.equal(seldom.say('a'), 61);
  t.equal(seldom.say('a'), undefined);
});

t.test('it does not remember without end', async (t) => {
  const seldom = new Seldom(1_000, () => 0);
  for (let n = 0; n < 5_000; n++) seldom.say(`${n}`);
  t.equal(seldom.say('4999'), undefined);
  t.equal(seldom.say('0'), 0, 'forgotten');
});

t.test('whether Postgres is away', async (t) => {
  const coded = (code: string) => Object.assign(new Error('some text'), { code });
  for (const code of ['ECONNREFUSED', 'ETIMEDOUT', '57P01', '57P03', '08006', '53300', '25006'])
    t.ok(isAway(coded(code)), code);
  for (const text of ['Connection terminated unexpectedly', 'timeout exceeded when trying to connect'])
    t.ok(isAway(new Error(text)), text);
  for (const code of ['HF001', '40001', '57014', '53200', '23505', 'shard_unavailable'])
    t.notOk(isAway(coded(code)), code);
  // Too large for its time: the next transaction is smaller, and leaves at once.
  t.notOk(isAway(new Error('Query read timeout')));
});

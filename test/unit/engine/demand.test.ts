import t from 'tap';
import { SweepsOnDemand } from '../../../engine/reservations/demand.js';

/** Sweeps that end when the test says so. */
function byHand() {
  const open: { partition: number; end: (error?: Error) => void }[] = [];
  let begun = 0;
  const sweeps = new SweepsOnDemand((partition) => {
    begun++;
    return new Promise((resolve, reject) => {
      open.push({ partition, end: (error) => (error ? reject(error) : resolve(0)) });
    });
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return { sweeps, open, begun: () => begun, turn };
}

t.test('whoever comes while a sweep runs shares the one after it', async (t) => {
  const { sweeps, open, begun, turn } = byHand();
  const first = sweeps.swept(3);
  const later = Array.from({ length: 1_000 }, () => sweeps.swept(3));
  t.equal(begun(), 1);
  let over = false;
  void later[0]!.then(() => (over = true));
  open.shift()!.end();
  await first;
  await turn();
  t.equal(begun(), 2, 'one for a thousand');
  t.notOk(over, 'the sweep that ran before they asked is not theirs');
  open.shift()!.end();
  await Promise.all(later);
  t.equal(begun(), 2);
  const again = sweeps.swept(3);
  t.equal(begun(), 3, 'nothing is remembered');
  open.shift()!.end();
  await again;
});

t.test('partitions do not wait for each other', async (t) => {
  const { sweeps, open } = byHand();
  const both = [sweeps.swept(1), sweeps.swept(2)];
  t.same(
    open.map(({ partition }) => partition),
    [1, 2],
  );
  for (const { end } of open) end();
  await Promise.all(both);
});

t.test('a sweep that fails is told to those who waited for it, and the next one begins', async (t) => {
  const { sweeps, open, begun, turn } = byHand();
  const first = sweeps.swept(1);
  const second = sweeps.swept(1);
  open.shift()!.end(new Error('gone'));
  await t.rejects(first, { message: 'gone' });
  await turn();
  t.equal(begun(), 2);
  open.shift()!.end();
  await second;
});

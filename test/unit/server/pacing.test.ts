/** When the refused are answered, by a clock that the test moves. */
import t from 'tap';
import { Pacing } from '../../../server/http/pacing.js';

/** Asks for `n` refusals at `now`; those who wait are counted in `answered` when their time comes. */
function ask(
  pacing: Pacing,
  n: number,
  now: number,
  answered: { count: number },
): { free: number; gone: (() => void)[] } {
  const gone: (() => void)[] = [];
  let free = 0;
  for (let i = 0; i < n; i++) {
    if (pacing.free(now)) free++;
    else gone.push(pacing.later(now, () => answered.count++));
  }
  return { free, gone };
}

t.test('few are answered at once, however long it goes on', async (t) => {
  const pacing = new Pacing();
  const answered = { count: 0 };
  for (let now = 1_000; now < 3_000; now += 10) t.equal(ask(pacing, 100, now, answered).free, 100);
  t.equal(answered.count, 0);
});

t.test('a flood is answered at the rate, the first first, and nobody waits longer than 100 ms', async (t) => {
  const pacing = new Pacing();
  const answered = { count: 0 };
  const { free } = ask(pacing, 1_000, 1_000, answered);
  t.equal(free, 256);
  t.equal(pacing.size, 744);
  pacing.release(1_010);
  t.equal(answered.count, 120, '12 in a millisecond');
  pacing.release(1_050);
  t.equal(answered.count, 376, 'what was not used is kept up to the burst');
  pacing.release(1_099);
  t.ok(pacing.size === 0 || answered.count < 744);
  pacing.release(1_100);
  t.equal(answered.count, 744);
  t.equal(pacing.size, 0);
});

t.test('when too many wait, the next is refused at once', async (t) => {
  const pacing = new Pacing();
  const answered = { count: 0 };
  const { free } = ask(pacing, 10_000, 1_000, answered);
  t.equal(pacing.size, 1_200);
  t.equal(free, 8_800);
  pacing.answerAll();
  t.equal(answered.count, 1_200);
});

t.test('who has gone is not answered', async (t) => {
  const pacing = new Pacing();
  const answered = { count: 0 };
  const { gone } = ask(pacing, 300, 1_000, answered);
  for (const leave of gone) leave();
  pacing.release(1_200);
  t.equal(answered.count, 0);
  t.equal(pacing.size, 0);
});

t.test('those who wait are answered by themselves', async (t) => {
  const pacing = new Pacing();
  const answered = { count: 0 };
  ask(pacing, 300, performance.now(), answered);
  while (answered.count < 44) await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(pacing.size, 0);
});

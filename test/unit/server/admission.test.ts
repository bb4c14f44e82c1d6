/** Who is let in, by a clock that the test moves. */
import t from 'tap';
import { Admission } from '../../../server/http/admission.js';

const MOST = 10_000;
const TARGET_MS = 50;

/** Lets `arrivals` in every 10 ms, each of which takes `takesMs`; answers how many were refused. */
function load(admission: Admission, from: number, steps: number, arrivals: number, takesMs: number): number {
  const under: number[] = [];
  let refused = 0;
  for (let step = 0; step < steps; step++) {
    const now = from + step * 10;
    while (under.length > 0 && under[0]! <= now) {
      under.shift();
      admission.leave(takesMs);
    }
    for (let n = 0; n < arrivals; n++) {
      if (admission.enter(now)) under.push(now + takesMs);
      else refused++;
    }
  }
  for (const _ of under) admission.leave(takesMs);
  return refused;
}

t.test('what is answered within the target is never refused', async (t) => {
  const admission = new Admission({ most: MOST, targetMs: TARGET_MS });
  t.equal(load(admission, 1_000, 200, 200, 40), 0);
  t.notOk(admission.shedding);
});

t.test('few are never refused, however long they take', async (t) => {
  const admission = new Admission({ most: MOST, targetMs: TARGET_MS });
  t.equal(load(admission, 1_000, 500, 1, 2_000), 0);
});

t.test('a burst is taken; a queue that stands is cut to what fits', async (t) => {
  const admission = new Admission({ most: MOST, targetMs: TARGET_MS });
  t.equal(load(admission, 1_000, 8, 200, 400), 0, 'shorter than the interval');
  const refused = load(admission, 2_000, 300, 200, 400);
  t.ok(refused > 10_000, `${refused} of 60,000 refused`);
  t.ok(admission.shedding);
  t.equal(admission.refused, refused);
});

t.test('when nobody has to be refused any more, everybody is let in again', async (t) => {
  const admission = new Admission({ most: MOST, targetMs: TARGET_MS });
  t.ok(load(admission, 1_000, 300, 200, 400) > 0);
  load(admission, 5_000, 50, 10, 20);
  t.notOk(admission.shedding);
  t.equal(load(admission, 6_000, 50, 200, 40), 0);
});

t.test('a stall is noticed although nothing ends', async (t) => {
  const admission = new Admission({ most: MOST, targetMs: TARGET_MS });
  load(admission, 1_000, 100, 100, 20);
  let refused = 0;
  for (let now = 2_000; now < 3_000; now += 10) for (let n = 0; n < 50; n++) if (!admission.enter(now)) refused++;
  t.ok(refused > 1_000, `${refused} of 5,000 refused`);
});

t.test('most is kept without a target; what waits elsewhere is not counted', async (t) => {
  const admission = new Admission({ most: 3, targetMs: 0 });
  for (let n = 0; n < 3; n++) t.ok(admission.enter(1_000));
  t.notOk(admission.enter(1_000));
  admission.stand();
  t.ok(admission.enter(1_001));
});

t.test('what ends a reservation gets in where new ones are refused', async (t) => {
  const admission = new Admission({ most: 100, targetMs: 0 });
  const count = (load: 'hold' | 'write' | 'finish') => {
    let n = 0;
    while (admission.enter(1_000, load)) n++;
    return n;
  };
  t.same(
    [count('hold'), count('write'), count('finish')],
    [100, 5, 5],
    'each finds room where the one before finds none',
  );
  t.notOk(admission.enter(1_000, 'read'));
});

t.test('waiting for something slow that nobody else has to wait for is no queue', async (t) => {
  const admission = new Admission({ most: MOST, targetMs: TARGET_MS });
  t.equal(load(admission, 1_000, 3_000, 50, 90), 0, 'a store that answers in 90 ms');
  t.notOk(admission.shedding);
  t.ok(load(admission, 31_000, 300, 200, 400) > 0, 'a queue in front of it is one');
});

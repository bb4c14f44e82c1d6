import t from 'tap';
import { Dues } from '../../../engine/recovery/dues.js';
import { limits } from '../../../engine/scripts/generated/limits.js';

t.test('what is due at the same time shares an entry, no longer than a script takes', async (t) => {
  const dues = new Dues();
  for (const name of ['a', 'c:b', 'd']) dues.add(5, name);
  dues.add(7, 'e');
  t.same(dues.take(), [
    { at: 5, member: 'a c:b d' },
    { at: 7, member: 'e' },
  ]);
  t.same(dues.take(), [], 'each once');
  const names = Array.from({ length: 1_000 }, (_, n) => `r${n}`.padEnd(100, '-'));
  for (const name of names) dues.add(9, name);
  const entries = dues.take();
  t.ok(entries.every(({ at, member }) => at === 9 && member.length <= limits.detail_bytes));
  t.ok(entries.length < 10);
  t.same(
    entries.flatMap(({ member }) => member.split(' ')),
    names,
  );
});

t.test('it says when it has gathered a lot', async (t) => {
  const dues = new Dues();
  for (let n = 0; !dues.isFull; n++) dues.add(n % 1_000, String(n));
  t.equal(dues.take().length, 1_000);
  t.notOk(dues.isFull);
});

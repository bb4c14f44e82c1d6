import t from 'tap';
import { epochAfter } from '../../../engine/recovery/epoch.js';

const NOW = Date.UTC(2026, 10, 20);
const drawn = (count: number, last: number, now?: number) => Array.from({ length: count }, () => epochAfter(last, now));

t.test('the time in microseconds: in order, and above the small numbers of earlier versions', async (t) => {
  const of = (now: number) => drawn(100, 7, now);
  t.ok(of(NOW).every((epoch) => epoch > 7 && Math.floor(epoch / 1_000) === NOW));
  t.ok(Math.max(...of(NOW)) < Math.min(...of(NOW + 1)));
  t.ok(new Set(of(NOW)).size > 50, 'openings in the same millisecond differ');
  t.ok(Math.abs(epochAfter(7) / 1_000 - Date.now()) < 60_000);
});

t.test('a clock that lags behind, or stands: epochs grow, and two that follow the same one differ', async (t) => {
  const last = NOW * 1_000;
  for (const now of [NOW - 1, NOW - 86_400_000, 0, -1]) {
    const epochs = drawn(100, last, now);
    t.ok(
      epochs.every((epoch) => epoch > last && epoch <= last + 2 ** 20),
      `clock at ${now}`,
    );
    t.ok(new Set(epochs).size > 90);
  }
});

t.test('never beyond what a number holds exactly', async (t) => {
  for (const now of [Date.UTC(2200, 0), Date.UTC(9999, 0), Number.MAX_SAFE_INTEGER]) {
    let epoch = epochAfter(0, now);
    for (let n = 0; n < 10_000; n++) {
      const next = epochAfter(epoch, now);
      if (next <= epoch) return t.fail(`${next} after ${epoch}`);
      epoch = next;
    }
    t.ok(Number.isSafeInteger(epoch + 10 ** 9 * 1_000_000), String(epoch));
  }
});

/** Places of reservations: the latest of an id counts, the oldest are forgotten, and nothing is taken for another's. */
import t from 'tap';
import { Places, type Part, type Place } from '../../../engine/reservations/place.js';

const partsAt = (partition: number): readonly Part[] => [{ partition, lines: [{ item: 'berlin:shoe', quantity: 2 }] }];
const plain = (partition: number, buyerId = 'ann'): Place => ({
  home: partition,
  attempt: 0,
  buyerId,
  parts: partsAt(partition),
});
const claim: Place = { home: 3, attempt: 7, buyerId: 'ann', parts: [...partsAt(1), ...partsAt(2)], sure: true };

t.test('what was remembered comes back as it was', async (t) => {
  const places = new Places();
  t.equal(places.get('nobody'), undefined);
  const kept: Record<string, Place> = {
    plain: plain(5),
    'without-buyer': plain(6, ''),
    claim,
    ['i'.repeat(128)]: plain(7, 'b'.repeat(128)),
    ['i'.repeat(62)]: plain(8, ''),
    ['i'.repeat(61)]: plain(9, 'x'),
    ['i'.repeat(60)]: plain(10, 'xyz'),
    'not-ascii': plain(11, 'grün'),
    'further-away': plain(12, 'Ā'),
    'elsewhere-than-home': { ...plain(13), home: 14 },
  };
  for (const [id, place] of Object.entries(kept)) places.remember(id, place);
  for (const [id, place] of Object.entries(kept)) t.strictSame(places.get(id), place, id);
  t.equal(places.get('plai'), undefined);
  t.equal(places.get('plainann'), undefined);
});

t.test('the latest place of an id counts, and forgetting it leaves none', async (t) => {
  const places = new Places();
  const turns: Place[] = [plain(1), plain(2, 'bob'), claim, plain(3), { ...claim, attempt: 8 }];
  for (const place of turns) {
    places.remember('r', place);
    t.strictSame(places.get('r'), place);
  }
  for (const place of [plain(1), plain(1), claim, plain(4)]) places.remember('r', place);
  places.remember('s', plain(5));
  places.forget('r');
  t.equal(places.get('r'), undefined);
  t.strictSame(places.get('s'), plain(5));
  places.forget('r');
  places.remember('r', plain(9));
  t.strictSame(places.get('r'), plain(9));
});

t.test('over several rounds: the latest 50,000 are there, the oldest are gone, forgotten ones stay away', async (t) => {
  const places = new Places();
  const count = 200_000;
  let wrong = 0;
  for (let n = 0; n < count; n++) {
    places.remember(`id-${n}`, plain(n % 64, `b${n}`));
    if (n % 7 === 0) places.forget(`id-${n - 3_000}`);
  }
  for (let n = count - 50_000; n < count; n++) {
    const place = places.get(`id-${n}`);
    const gone = (n + 3_000) % 7 === 0 && n + 3_000 < count;
    if (gone ? place !== undefined : place?.buyerId !== `b${n}` || place.home !== n % 64) wrong++;
  }
  t.equal(wrong, 0);
  let left = 0;
  for (let n = 0; n < 100_000; n++) if (places.get(`id-${n}`)) left++;
  t.equal(left, 0);
});

// @ts-expect-error -- it has no types
import keySlot from 'cluster-key-slot';
import t from 'tap';
import { idAtHome } from '../../../engine/ids.js';
import { Keys } from '../../../engine/keys.js';
import { crc16, Partitions, SLOTS } from '../../../engine/partitions.js';

const calculateSlot = keySlot as (key: string) => number;

t.test('crc16 agrees with another implementation, whole and in pieces', (t) => {
  for (const text of ['', '0', '123456789', 'berlin:shoe-1', 'a'.repeat(300), '~._-']) {
    t.equal(crc16(text) % SLOTS, calculateSlot(text), text);
    for (let cut = 0; cut <= Math.min(text.length, 5); cut++)
      t.equal(crc16(text.slice(cut), 0, text.length - cut, crc16(text.slice(0, cut))), crc16(text));
  }
  t.equal(crc16('123456789'), 0x31c3);
  t.end();
});

t.test('each partition lies in its own share of the slots, with the first tag that does', (t) => {
  for (const count of [1, 2, 64, 1024]) {
    const partitions = new Partitions(count);
    const share = SLOTS / count;
    t.equal(new Set(partitions.tags).size, count);
    for (let p = 0; p < count; p++) {
      const slot = calculateSlot(partitions.tags[p]!);
      t.equal(partitions.slots[p], slot);
      if (Math.floor(slot / share) !== p) t.fail(`partition ${p} of ${count} has slot ${slot}`);
    }
  }
  const { tags } = new Partitions(64);
  const first = Array.from({ length: 10_000 }, (_, n) => n.toString(36));
  for (const [p, tag] of tags.entries())
    t.equal(
      tag,
      first.find((candidate) => Math.floor(calculateSlot(candidate) / (SLOTS / 64)) === p),
    );
  t.end();
});

t.test('items and ids spread evenly', (t) => {
  const partitions = new Partitions(64);
  const counts = new Array<number>(64).fill(0);
  for (let n = 0; n < 64_000; n++) counts[partitions.of(`berlin:sku-${n}`)]!++;
  t.ok(Math.min(...counts) > 800 && Math.max(...counts) < 1200, counts.join(' '));
  t.end();
});

t.test('numbers of partitions that cannot be', (t) => {
  for (const count of [0, -1, 3, 1.5, 8192, NaN, '64' as never]) t.throws(() => new Partitions(count), RangeError);
  t.end();
});

t.test('made ids are at home where they should be, and different', (t) => {
  const partitions = new Partitions(64);
  const ids = new Set<string>();
  for (let n = 0; n < 640; n++) {
    const id = idAtHome(n % 64, partitions);
    t.equal(partitions.home(id), n % 64);
    t.match(id, /^[A-Za-z0-9_-]{20}$/);
    ids.add(id);
  }
  t.equal(ids.size, 640);
  t.end();
});

t.test('keys of a partition share its slot; refs are found again', (t) => {
  const partitions = new Partitions(64);
  const keys = new Keys('shop.1', partitions);
  for (let p = 0; p < 64; p++) {
    for (const kind of ['meta', 'log', 'due', 'holds', 'claims', 'ids', 'deltas', 'persisted'] as const)
      t.equal(calculateSlot(keys.fixed(kind, p)), partitions.slots[p]);
    t.equal(calculateSlot(keys.item('stock', p, 'berlin:shoe-1')), partitions.slots[p]);
  }
  const p = partitions.of('berlin:shoe-1');
  t.equal(keys.item('buyers', p, 'berlin:shoe-1'), `shop.1:{${partitions.tags[p]}}:buyers:berlin:shoe-1`);
  t.equal(keys.refIn('stock', p, keys.item('stock', p, 'berlin:shoe-1')), 'berlin:shoe-1');
  t.equal(keys.refIn('stock', p, keys.fixed('meta', p)), undefined);
  t.equal(keys.refIn('stock', p, keys.item('stock', (p + 1) % 64, 'berlin:shoe-1')), undefined);
  for (const prefix of ['', 'a{b}', 'a b', 'ü', 'x'.repeat(33), 'a*', 'a:b'])
    t.throws(() => new Keys(prefix, partitions));
  t.end();
});

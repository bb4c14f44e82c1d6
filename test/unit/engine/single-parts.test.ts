/** Parts of requests of one line are remembered, but never what was refused. */
import t from 'tap';
import type { Context } from '../../../engine/context.js';
import { InvalidArgument } from '../../../engine/errors.js';
import { Partitions } from '../../../engine/partitions.js';
import { SingleParts } from '../../../engine/reservations/place.js';

const partitions = new Partitions(64);
const context = { partitions } as Context;

t.test('the same line has the same parts, another one has others', async (t) => {
  const single = new SingleParts();
  const line = { location: 'berlin', sku: 'shoe', quantity: 2 };
  const found = single.of(context, line);
  t.strictSame(found.held, [{ ...line, returned: 0 }]);
  t.throws(() => (found.held as unknown[]).push(1), TypeError, 'callers share it');
  t.strictSame(found.parts, [
    { partition: partitions.of('berlin:shoe'), lines: [{ item: 'berlin:shoe', quantity: 2 }] },
  ]);
  t.equal(single.of(context, { ...line }), found);
  t.equal(single.of(context, { ...line, quantity: 3 }).parts[0].lines[0]!.quantity, 3);
  t.equal(single.of(context, { ...line, sku: 'boot' }).parts[0].lines[0]!.item, 'berlin:boot');
  t.equal(single.of(context, { ...line, location: 'rome' }).parts[0].lines[0]!.item, 'rome:shoe');
  t.equal(single.of(context, { ...line, quantity: 1_000 }).parts[0].lines[0]!.quantity, 1_000);
});

t.test('what is no line is refused, whatever was asked before', async (t) => {
  const single = new SingleParts();
  const line = { location: 'berlin', sku: 'shoe', quantity: 1 };
  single.of(context, line);
  for (const quantity of ['1', 0, -1, 1.5, NaN, 1_000_001, null, undefined])
    t.throws(() => single.of(context, { ...line, quantity: quantity as number }), InvalidArgument, String(quantity));
  for (const sku of ['', 'a b', 'a:b', 7, ['shoe'], undefined])
    t.throws(() => single.of(context, { ...line, sku: sku as string }), InvalidArgument, String(sku));
  t.throws(() => single.of(context, { ...line, location: 'berlin:' }), InvalidArgument);
});

t.test('it forgets before it grows without end', async (t) => {
  const single = new SingleParts();
  const first = single.of(context, { location: 'l', sku: 's', quantity: 1 });
  for (let n = 0; n < 10_000; n++) single.of(context, { location: 'l', sku: `s${n}`, quantity: 1 });
  const again = single.of(context, { location: 'l', sku: 's', quantity: 1 });
  t.not(again, first);
  t.strictSame(again, first);
});

import t from 'tap';
import { Batch, BatchQueue, Pending } from '../../../engine/batch/batch.js';
import { Encoder } from '../../../engine/batch/encode.js';
import { Keys } from '../../../engine/keys.js';
import { Partitions } from '../../../engine/partitions.js';
import { stockReserve, type StockReserveOp } from '../../../engine/scripts/generated/stock-reserve.js';
import { stockDue } from '../../../engine/scripts/generated/stock-due.js';
import { encodeCall } from '../../../engine/scripts/script.js';
import { ScriptSet } from '../../../engine/scripts/loading.js';

const LIMITS = { ops: 4, items: 5, mentions: 8 };
const keys = new Keys('hf', new Partitions(64));
const scripts = new ScriptSet('hf');

function reserveOf(id: string, ...items: string[]): StockReserveOp {
  const lines = items.map((item) => ({ item, quantity: 2 }));
  return { id, fingerprint: 12, attempt: 0, buyer: '', hold: 0, room: '', actor: 'näu', lines };
}

function pendingOf(op: unknown, deadline = 100): Pending {
  return new Pending(op, deadline, 0, true, { id: 'id', answered: () => undefined, failed: () => undefined });
}

t.test('a batch is full by operations, by distinct items, by mentions; a single large operation always fits', (t) => {
  const byOps = new Batch(stockReserve, 3);
  for (let n = 0; n < 4; n++) t.ok(byOps.add(pendingOf(reserveOf(`${n}`, 'a:1')), LIMITS));
  t.notOk(byOps.add(pendingOf(reserveOf('5', 'a:1')), LIMITS));
  t.equal(byOps.items.size, 1);

  const byItems = new Batch(stockReserve, 3);
  t.ok(byItems.add(pendingOf(reserveOf('1', 'a:1', 'a:2', 'a:3')), LIMITS));
  t.notOk(byItems.add(pendingOf(reserveOf('2', 'a:4', 'a:5', 'a:6')), LIMITS));
  t.ok(byItems.add(pendingOf(reserveOf('3', 'a:1', 'a:2')), LIMITS));
  t.equal(byItems.items.size, 3);

  const large = new Batch(stockReserve, 3);
  t.ok(large.add(pendingOf(reserveOf('1', ...Array.from({ length: 20 }, (_, n) => `a:${n}`))), LIMITS));
  t.notOk(large.add(pendingOf(reserveOf('2', 'a:1')), LIMITS));
  t.end();
});

t.test('the encoded command has the cells of the plain encoding, keys first, in the order of the calls', (t) => {
  const batch = new Batch(stockReserve, 3);
  const ops = [reserveOf('r1', 'a:1', 'b:2'), reserveOf('r1', 'b:2'), reserveOf('r2', 'c:3', 'a:1')];
  for (const op of ops) batch.add(pendingOf(op), LIMITS);
  const { items, argv } = encodeCall(stockReserve, undefined as never, ops);
  const expected = [
    'EVALSHA',
    stockReserve.sha1,
    String(stockReserve.fixedKeys.length + stockReserve.itemKeys.length * 3),
    ...stockReserve.fixedKeys.map((kind) => keys.fixed(kind, 3)),
    ...stockReserve.itemKeys.flatMap((kind) => items.map((ref) => keys.item(kind, 3, ref))),
    ...argv.map((cell) => (Buffer.isBuffer(cell) ? cell.toString() : String(cell))),
  ];
  t.strictSame(parse(new Encoder(keys, scripts).evalsha(batch)), expected);
  const once = new Batch(stockDue, 5, { args: { page: 7 }, ops: [] });
  t.strictSame(parse(new Encoder(keys, scripts).evalsha(once)).slice(2), [
    '2',
    keys.fixed('meta', 5),
    keys.fixed('due', 5),
    '7',
  ]);
  t.end();
});

function parse(command: string): string[] {
  const bytes = Buffer.from(command, 'latin1');
  const parts: string[] = [];
  let at = bytes.indexOf('\r\n') + 2;
  const count = Number(command.slice(1, at - 2));
  for (let n = 0; n < count; n++) {
    const end = bytes.indexOf('\r\n', at);
    const length = Number(bytes.toString('latin1', at + 1, end));
    parts.push(bytes.toString('utf8', end + 2, end + 2 + length));
    at = end + 4 + length;
  }
  return parts;
}

t.test('waiting calls are counted where they wait, and no longer when they are over', (t) => {
  const here = { queued: 0 };
  const there = { queued: 0 };
  const batch = new Batch(stockReserve, 3);
  const [first, second] = [pendingOf(reserveOf('1', 'a:1')), pendingOf(reserveOf('2', 'a:1'))];
  batch.add(first, LIMITS);
  batch.countAt(here);
  batch.add(second, LIMITS);
  t.equal(here.queued, 2);
  batch.countAt(there);
  t.strictSame([here.queued, there.queued], [0, 2]);
  batch.reject(first, new Error('late'));
  batch.reject(first, new Error('twice'));
  t.equal(there.queued, 1);
  batch.countAt(undefined);
  t.equal(there.queued, 0);
  t.end();
});

t.test('the queue is first in, first out, and skips what is gone', (t) => {
  const queue = new BatchQueue();
  const batches = Array.from({ length: 3000 }, () => new Batch(stockReserve, 1));
  for (const batch of batches) queue.push(batch);
  batches[1]!.place = 'gone';
  t.equal(queue.shift(), batches[0]);
  t.equal(queue.shift(), batches[2]);
  for (let n = 3; n < 2000; n++) if (queue.shift() !== batches[n]) t.fail(`batch ${n}`);
  t.strictSame(queue.drain(), batches.slice(2000));
  t.equal(queue.shift(), undefined);
  t.end();
});

t.test('other prefixes have scripts of their own hash', (t) => {
  const other = new ScriptSet('shop');
  t.equal(scripts.sha1(stockReserve), stockReserve.sha1);
  t.not(other.sha1(stockReserve), stockReserve.sha1);
  t.not(other.sha1(stockReserve), new ScriptSet('shop2').sha1(stockReserve));
  t.strictSame(other.ofRecovery.map(({ name }) => name).sort(), [
    'partition/fence',
    'partition/open',
    'partition/restore',
    'partition/take',
  ]);
  t.end();
});

/** MessagePack from strangers: what is not plain, complete and shallow is refused before anything is built. */
import { Packr } from 'msgpackr';
import fc from 'fast-check';
import t from 'tap';
import { checkPlain, MAX_DEPTH, packMessage, unpackMessage } from '../../../server/http/msgpack.js';

const refused: [name: string, bytes: number[] | Buffer, why: RegExp][] = [
  ['nothing', [], /cut off/],
  ['an array of four billion entries in five bytes', [0xdd, 0xff, 0xff, 0xff, 0xff], /cut off/],
  ['a map of four billion entries', [0xdf, 0xff, 0xff, 0xff, 0xff], /cut off/],
  ['an array of 65535 entries in three bytes', [0xdc, 0xff, 0xff], /cut off/],
  ['a string longer than the rest', [0xdb, 0x7f, 0xff, 0xff, 0xff, 0x61], /cut off/],
  ['half a length', [0xda, 0x01], /cut off/],
  ['half a number', [0xcb, 0, 0], /cut off/],
  ['a map without its last value', [0x81, 0xa1, 0x61], /cut off/],
  ['bytes after the value', [0xc0, 0xc0], /after/],
  ['binary', [0xc4, 0x01, 0x00], /only nil/],
  ['an extension', [0xd4, 0x01, 0x00], /only nil/],
  ['a timestamp', [0xd6, 0xff, 0, 0, 0, 0], /only nil/],
  ['the unused type', [0xc1], /only nil/],
  ['a string that is not UTF-8', [0xa2, 0xc3, 0x28], /UTF-8/],
  ['records, as msgpackr writes them by default', new Packr().pack({ a: 1 }), /only nil/],
  ['nesting', Buffer.concat([Buffer.alloc(MAX_DEPTH + 1, 0x91), Buffer.from([0xc0])]), /nested/],
  ['nesting by the hundred thousand', Buffer.alloc(100_000, 0x91), /nested/],
  ['maps as keys, nested', Buffer.alloc(100_000, 0x81), /nested/],
];

for (const [name, bytes, why] of refused) {
  t.test(`refused: ${name}`, async (t) => {
    t.throws(() => unpackMessage(Buffer.from(bytes as number[])), { name: 'SyntaxError', message: why });
  });
}

t.test('the deepest that is taken', async (t) => {
  const bytes = Buffer.concat([Buffer.alloc(MAX_DEPTH, 0x91), Buffer.from([0xc0])]);
  t.doesNotThrow(() => checkPlain(bytes));
});

t.test('what JSON can say comes back as it was', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ depthSize: 'small', maxDepth: 6 }), (value) => {
      const packed = packMessage(value);
      // -0 and 0 are one number in JSON.
      return t.same(JSON.parse(JSON.stringify(unpackMessage(packed))), JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 300 },
  );
});

t.test('any bytes give a value or a SyntaxError, nothing else', async (t) => {
  let values = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        unpackMessage(Buffer.from(bytes));
        values += 1;
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
      }
    }),
    { numRuns: 20_000 },
  );
  t.ok(values > 0, 'some of them are values');
});

t.test('a truncated message is refused wherever it is cut', async (t) => {
  const whole = packMessage({ lines: [{ location: 'berlin', sku: 'a-1', quantity: 70_000 }], holdSeconds: 1.5 });
  for (let length = 0; length < whole.length; length += 1) {
    t.throws(() => unpackMessage(whole.subarray(0, length)), { name: 'SyntaxError' });
  }
});

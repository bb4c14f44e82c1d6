/** Bodies: media types, encodings, nesting; and that no refusal quotes what was sent. */
import t from 'tap';
import { decodeBody, formatOf } from '../../../server/http/decode.js';
import { MAX_DEPTH, packMessage } from '../../../server/http/msgpack.js';
import { Problem } from '../../../server/http/problems.js';

const types: [contentType: string, format: string | undefined][] = [
  ['application/json', 'json'],
  ['application/json; charset=utf-8', 'json'],
  ['Application/JSON;charset="UTF-8"', 'json'],
  ['application/json; charset=latin1', undefined],
  ['application/msgpack', 'msgpack'],
  ['application/x-msgpack', 'msgpack'],
  ['application/vnd.msgpack', 'msgpack'],
  ['text/plain', undefined],
  ['application/x-www-form-urlencoded', undefined],
  ['multipart/form-data; boundary=x', undefined],
  ['application/jsonp', undefined],
  ['', undefined],
];
t.test('media types', async (t) => {
  for (const [contentType, format] of types) t.equal(formatOf(contentType), format, contentType || '(none)');
});

const refusal = (body: string | Buffer, type = 'application/json'): Problem => {
  try {
    decodeBody(Buffer.from(body as string), type);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('it was taken');
};

t.test('refused bodies', async (t) => {
  const deep = '['.repeat(MAX_DEPTH + 1) + ']'.repeat(MAX_DEPTH + 1);
  t.equal(refusal('{"a":').kind.code, 'invalid_request');
  t.match(refusal(deep).detail, /nested/);
  t.match(refusal('{"a":'.repeat(100_000)).detail, /nested/);
  t.match(refusal(Buffer.from([0x22, 0xff, 0x22])).detail, /UTF-8/);
  t.equal(refusal('{}', 'text/plain').kind.code, 'unsupported_media_type');
  t.match(refusal('{}', '').detail, /Content-Type is needed/);
  t.match(refusal(Buffer.from([0x91]), 'application/msgpack').detail, /MessagePack/);
});

t.test('no refusal quotes the body', async (t) => {
  for (const body of ['{"secret-4711":', '"secret-4711', 'secret-4711', '{"a":secret-4711}']) {
    t.notMatch(refusal(body).detail, /secret/, body);
  }
});

t.test('brackets inside strings are not nesting', async (t) => {
  const text = `\\"${'[{'.repeat(50)}\\\\`;
  t.same(decodeBody(Buffer.from(`{"a":"${text}"}`), 'application/json'), { a: JSON.parse(`"${text}"`) });
});

t.test('both formats say the same', async (t) => {
  const value = { lines: [{ location: 'a', sku: 'b', quantity: 3 }], ack: 'durable' };
  t.same(decodeBody(Buffer.from(JSON.stringify(value)), 'application/json'), value);
  t.same(decodeBody(packMessage(value), 'application/msgpack'), value);
});

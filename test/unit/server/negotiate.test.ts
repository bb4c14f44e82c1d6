/** Which format and encoding a client gets. */
import t from 'tap';
import { acceptsGzip, prefersMessagePack } from '../../../server/http/negotiate.js';

t.test('MessagePack where it is asked for and not liked less than JSON', async (t) => {
  for (const accept of [
    'application/msgpack',
    'application/x-msgpack',
    'application/msgpack, application/json',
    'application/json;q=0.5, application/msgpack;q=0.9',
    'application/msgpack, */*;q=0.1',
  ]) {
    t.equal(prefersMessagePack(accept), true, accept);
  }
  for (const accept of [
    '',
    '*/*',
    'application/json',
    'application/json, application/msgpack;q=0.5',
    'application/msgpack;q=0',
    'application/msgpack;q=nonsense',
    'text/html,application/xhtml+xml',
  ]) {
    t.equal(prefersMessagePack(accept), false, accept);
  }
});

t.test('gzip', async (t) => {
  for (const header of ['gzip', 'gzip, deflate, br', 'br;q=1, gzip;q=0.2']) t.equal(acceptsGzip(header), true, header);
  for (const header of ['', 'br', 'gzip;q=0', 'identity', 'x-gzipped']) t.equal(acceptsGzip(header), false, header);
});

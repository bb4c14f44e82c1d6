import t from 'tap';
import { verdictOf } from '../../../engine/batch/replies.js';
import { InvalidArgument } from '../../../engine/errors.js';
import { parseAddress } from '../../../engine/redis/address.js';
import { parseNodes } from '../../../engine/redis/nodes.js';
import { parsePosition } from '../../../engine/redis/durable.js';
import { bulk, bulkCommand } from '../../../engine/redis/resp.js';

t.test('addresses', (t) => {
  t.strictSame(parseAddress('redis://a:7000, redis://[::1]'), {
    seeds: [
      { host: 'a', port: 7000 },
      { host: '::1', port: 6379 },
    ],
    access: { username: undefined, password: undefined, tls: undefined },
  });
  t.match(parseAddress(['rediss://u%40x:p%3A@h:1/0']), {
    access: { username: 'u@x', password: 'p:', tls: {} },
  });
  const wrong = ['', ' , ', 'localhost:7000', 'http://a', 'redis://a:1/3', 'redis://', 'redis://a:1,rediss://a:2'];
  for (const text of [...wrong, 'redis://u:p@a:1,redis://a:2'])
    t.throws(() => parseAddress(text), InvalidArgument, text);
  try {
    parseAddress('http://user:secret@a');
  } catch (error) {
    t.notMatch((error as Error).message, /secret/);
  }
  t.end();
});

t.test('commands are bytes in latin1, whatever their text', (t) => {
  const decoded = (command: string) => Buffer.from(command, 'latin1').toString('utf8');
  t.equal(decoded(bulkCommand(['SET', 'k', 'näu€😀'])), '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$11\r\nnäu€😀\r\n');
  t.equal(bulkCommand(['X', Buffer.from([0, 255, 13, 10])]), '*2\r\n$1\r\nX\r\n$4\r\n\x00\xff\r\n\r\n');
  for (const n of [0, 7, 4095, 4096, -5, 2 ** 53 - 1, -(2 ** 53) + 1])
    t.equal(bulk(n), `$${String(n).length}\r\n${n}\r\n`);
  t.equal(bulk(''), '$0\r\n\r\n');
  t.equal(bulk('x'.repeat(2000)), `$2000\r\n${'x'.repeat(2000)}\r\n`);
  // Latin1 characters are two bytes in UTF-8 and must not pass for one.
  t.equal(bulk('ä'), '$2\r\n\xc3\xa4\r\n');
  t.end();
});

t.test('error replies: what ran, what did not', (t) => {
  const kind = (text: string) => verdictOf(new Error(text)).kind;
  t.strictSame(verdictOf(new Error('MOVED 866 10.0.0.1:7001')), {
    kind: 'moved',
    to: { host: '10.0.0.1', port: 7001 },
  });
  t.strictSame(verdictOf(new Error('MOVED 866 ::1:7001')), { kind: 'moved', to: { host: '::1', port: 7001 } });
  t.strictSame(verdictOf(new Error('MOVED 866 :7001')), { kind: 'moved', to: undefined });
  for (const text of [
    'ASK 866 10.0.0.1:7001',
    'TRYAGAIN Multiple keys request during rehashing of slot',
    'CLUSTERDOWN The cluster is down',
    'LOADING Redis is loading the dataset in memory',
    'MASTERDOWN Link with MASTER is down',
    "READONLY You can't write against a read only replica.",
    'BUSY Redis is busy running a script.',
    'NOREPLICAS Not enough good replicas to write.',
    'MISCONF Redis is configured to save RDB snapshots',
  ])
    t.equal(kind(text), 'later', text);
  t.equal(kind('NOSCRIPT No matching script. Please use EVAL.'), 'noscript');
  t.equal(kind("OOM command not allowed when used memory > 'maxmemory'."), 'memory');
  t.equal(kind('NOPERM this user has no permissions'), 'refused');
  t.equal(kind('NOAUTH Authentication required.'), 'refused');
  t.equal(kind('ERR wrong number of arguments'), 'broken');
  // Raised in the middle of a script: it had begun, whatever the code says.
  t.equal(kind('OOM command not allowed script: 12ab, on @user_script:44.'), 'broken');
  t.equal(kind('READONLY x script: 12ab, on @user_script:3.'), 'broken');
  t.end();
});

t.test('CLUSTER NODES: roles, epochs, slots on their way, nodes without an address', (t) => {
  const text = [
    'aaa 10.0.0.1:7000@17000,host-a myself,master - 0 0 3 connected 0-100 200 [300->-bbb] [400-<-bbb]',
    'bbb :7001@17001 master - 0 1 4 connected 101-199',
    'ccc 10.0.0.3:7002@17002 slave,fail? aaa 0 1 3 connected',
    'ddd :0@0 master,noaddr - 0 1 0 disconnected',
    'eee 10.0.0.5:7004@17004 master,fail - 0 1 2 disconnected 500-600',
    'fff 10.0.0.6:7005@17005 handshake - 0 0 0 connected',
    '',
  ].join('\n');
  const nodes = parseNodes(text, { host: 'asked', port: 1 });
  t.strictSame(
    nodes.map(({ id, endpoint, master, online, failed, slots, configEpoch }) => [
      id,
      `${endpoint.host}:${endpoint.port}`,
      master,
      online,
      failed,
      slots,
      configEpoch,
    ]),
    [
      ['aaa', '10.0.0.1:7000', true, true, false, [0, 100, 200, 200], 3],
      ['ccc', '10.0.0.3:7002', false, false, false, [], 3],
      ['eee', '10.0.0.5:7004', true, false, true, [500, 600], 2],
    ],
  );
  const [self] = parseNodes('aaa :7000@17000 myself,master - 0 0 3 connected 0-1', { host: 'asked', port: 1 });
  t.strictSame(self!.endpoint, { host: 'asked', port: 7000 });
  t.end();
});

t.test('positions', (t) => {
  t.strictSame(parsePosition('3-17'), { epoch: 3, seq: 17 });
  for (const text of ['', '3', '3-', '-3', '3-1x', 'a-b']) t.equal(parsePosition(text), undefined);
  t.end();
});

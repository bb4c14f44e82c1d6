import t from 'tap';
import { chooseHeir, type Heir, isRefused, readHeir } from '../../../engine/recovery/heirs.js';

const AT = { host: '10.0.0.4', port: 7003 };
const node = (id: string, flags: string, rest: string) =>
  `${id} 10.0.0.${id.charCodeAt(0) - 96}:7000@17000 ${flags} ${rest}`;
const VIEW = [
  node('a', 'master', '- 1 1 1 disconnected 0-5460'),
  node('b', 'master', '- 0 1 2 connected 5461-10922'),
  node('c', 'master', '- 0 1 3 connected 10923-16383'),
  node('d', 'myself,slave', 'a 0 0 1 connected'),
  node('e', 'master', '- 0 1 4 connected'),
];
const INFO = (fields: Record<string, string | number>) =>
  Object.entries({
    role: 'slave',
    master_link_status: 'down',
    master_sync_in_progress: 0,
    slave_repl_offset: 1_000,
    master_replid: 'r1',
    master_repl_offset: 900,
    uptime_in_seconds: 77,
    ...fields,
  })
    .map(([name, value]) => `${name}:${value}`)
    .join('\r\n');

/** What `d` of VIEW says of itself with INFO({}): it may take over. */
const HEIR: Heir = {
  id: 'd',
  masterId: 'a',
  replicationId: 'r1',
  offset: 1_000,
  uptimeSeconds: 77,
  following: false,
  copying: false,
  barred: false,
  masterFailed: false,
  voters: 2,
  quorum: 2,
};

t.test('what a replica says', (t) => {
  t.strictSame(readHeir(VIEW.join('\n'), INFO({}), AT), HEIR);
  t.match(readHeir(VIEW.join('\n'), INFO({ master_link_status: 'up' }), AT), { following: true });
  t.match(readHeir(VIEW.join('\n'), INFO({ master_sync_in_progress: 1 }), AT), { copying: true });
  const [a, b, c, d, e] = VIEW;
  const say = (...lines: string[]) => readHeir(lines.join('\n'), INFO({}), AT);
  t.match(say(a!.replace('master', 'master,fail?'), b!, c!, d!), { masterFailed: false });
  t.match(say(a!.replace('master', 'master,fail'), b!, c!, d!), { masterFailed: true });
  t.match(say(a!, b!, c!, d!.replace('slave', 'slave,nofailover')), { barred: true });
  t.match(say(a!, b!.replace('master', 'master,fail?'), c!, d!, e!), { voters: 1, quorum: 2 });
  t.match(say(a!, b!.replace(' connected', ' disconnected'), c!, d!), { voters: 1, quorum: 2 });
  t.match(say(a!, b!, c!, d!.replace('slave a', 'master -')), { masterId: '' });
  t.throws(() => say(a!, b!), /does not name itself/);
  t.end();
});

t.test('who takes over', (t) => {
  const heir = (own: Partial<Heir>): Heir => ({ ...HEIR, ...own });
  const known = { replicationId: 'r1', offset: 1_000 };
  const replaced = new Map<string, number>();
  const choose = (...heirs: Heir[]) => {
    const choice = chooseHeir('a', known, heirs, replaced);
    return typeof choice === 'object' ? `${choice.id} ${choice.offset}` : (choice ?? 'nobody');
  };
  t.equal(choose(heir({})), 'd 1000');
  t.equal(choose(heir({ offset: 1_001 }), heir({ id: 'b', offset: 1_000 })), 'd 1001', 'who has most');
  t.equal(choose(heir({ id: 'e' }), heir({ id: 'b' }), heir({ id: 'd' })), 'b 1000', 'the same for everybody');
  const reasons: [Partial<Heir>, RegExp][] = [
    [{ following: true }, /still follows/],
    [{ masterFailed: true }, /by itself/],
    [{ masterId: 'c' }, /nobody/],
    [{ masterId: '' }, /nobody/],
    [{ copying: true }, /being copied/],
    [{ barred: true }, /no-failover/],
    [{ replicationId: 'r2' }, /lacks/],
    [{ offset: 999 }, /lacks/],
    [{ voters: 1 }, /1 masters can vote, 2 have to/],
  ];
  for (const [own, reason] of reasons) t.match(choose(heir(own)), reason, JSON.stringify(own));
  t.match(choose(heir({}), heir({ id: 'f', offset: 3, following: true })), /still follows/, 'the master lives');
  t.equal(
    choose(heir({ masterId: '', offset: 0 }), heir({ id: 'f', masterId: 'd', following: true })),
    'nobody',
    'done',
  );
  t.match(choose(heir({}), heir({ id: 'f', offset: 2_000, barred: true })), /no-failover/, 'nobody else instead');
  t.match(choose(), /no replica/);
  replaced.set('d', 30);
  t.match(choose(heir({})), /replaced a moment ago/, 'its last election is in the way');
  t.equal(choose(heir({ uptimeSeconds: 29 })), 'd 1000', 'of which a new process knows nothing');
  replaced.clear();
  replaced.set('a', 29);
  t.match(choose(heir({ uptimeSeconds: 1 })), /replaced a moment ago/, 'the votes about it are spent');
  replaced.set('a', 31);
  t.equal(choose(heir({ uptimeSeconds: 1 })), 'd 1000');
  t.end();
});

t.test('a port that refuses', (t) => {
  const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  const late = Object.assign(new Error('connect'), { code: 'ETIMEDOUT' });
  t.ok(isRefused(refused));
  t.ok(isRefused(new Error('10.0.0.1:7000: connect', { cause: refused })));
  t.ok(isRefused(new Error('name:7000', { cause: new AggregateError([refused, refused]) })), 'every address of a name');
  t.notOk(isRefused(new Error('name:7000', { cause: new AggregateError([refused, late]) })));
  t.notOk(isRefused(new AggregateError([])));
  for (const other of [late, Object.assign(new Error('x'), { code: 'ECONNRESET' }), new Error('no answer'), undefined])
    t.notOk(isRefused(other));
  t.end();
});

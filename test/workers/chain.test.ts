import type pg from 'pg';
import t from 'tap';
import { persist, readPosition } from '../../workers/drain/persist.js';
import { type ChainHead, chainEnds, chainHeads, checkChain } from '../../workers/verify/chain.js';
import { Problems } from '../../workers/verify/problems.js';
import { checkDatabase, openDatabase, type TestDatabase } from './database.js';
import { cut, History, randomOf } from './history.js';

const PARTITION = 1;
const NASTY = ['a\tb', 'line\nbreak\r\n', '\\', '\\t\\\\n', 'nul\0', 'half \ud800 a pair', 'ünï © 🎫', '\\N', '', ' '];

let database: TestDatabase;
let client: pg.PoolClient;
let history: History;
let last = 0;

t.before(async () => {
  database = await openDatabase(4);
  client = await database.pools.drain.connect();
  const random = randomOf(5);
  history = new History(PARTITION, random);
  for (let n = 0; n < 400; n++) history.step();
  history.openEpoch();
  for (let n = 0; n < 400; n++) history.step();
  for (const text of NASTY) {
    history.now++;
    history.restock(history.items[0]!, 1);
    const event = history.events.pop()!;
    history.events.push({ ...event, id: `nasty ${text}`, actor: text, detail: text });
  }
  let position = await readPosition(client, PARTITION);
  // Some links are of one movement, and there are more than one page of them.
  for (const batch of cut(history.events, random, 2)) position = await persist(client, position, batch);
  last = position.seq;
});

t.teardown(async () => {
  client.release();
  await database.close();
});

async function links(): Promise<{ first: number; last: number }[]> {
  const { rows } = await database.pools.general.query<{ first: number; last: number }>(
    'SELECT first_seq AS first, last_seq AS last FROM ledger_chain WHERE partition = $1 ORDER BY last_seq',
    [PARTITION],
  );
  return rows;
}

const OPEN = ['movements', 'ledger_chain'].map((table) => `ALTER TABLE ${table} DISABLE TRIGGER USER`);

/** What is found after the owner of the tables did something; it is undone then. */
async function found(statements: readonly string[], known?: ChainHead, whole = true): Promise<string | undefined> {
  const owner = await database.pools.general.connect();
  try {
    await owner.query('BEGIN');
    for (const statement of [...OPEN, ...statements]) await owner.query(statement);
    const { rows } = await owner.query<{ first: number }>(
      'SELECT min(seq) AS first FROM movements WHERE partition = $1',
      [PARTITION],
    );
    return (await checkChain(owner, PARTITION, rows[0]!.first, last, known, whole)).broken;
  } finally {
    await owner.query('ROLLBACK');
    owner.release();
  }
}

t.test('a ledger that nobody touched is as it was written, whatever texts are in it', async (t) => {
  const all = await links();
  t.ok(all.length > 250 && all.some(({ first, last }) => first === last), `${all.length} links`);
  const problems = new Problems();
  const heads = new Map<number, ChainHead>();
  await checkDatabase(database.pools, PARTITION, { problems, heads, wholeChain: true });
  t.same(problems.list, []);
  t.equal(heads.get(PARTITION)?.seq, last);
  t.equal(await found([]), undefined);
  for (const partition of [0, 2, 3]) {
    await checkDatabase(database.pools, partition, { problems, heads, wholeChain: true });
    t.same(problems.list, [], 'a partition without movements');
  }
});

t.test('nobody changes the chain in passing', async (t) => {
  for (const change of ["UPDATE ledger_chain SET hash = ''", 'DELETE FROM ledger_chain', 'TRUNCATE ledger_chain'])
    await t.rejects(database.pools.general.query(change), { code: 'HF010' }, change);
});

t.test('each way to change a movement is found and named', async (t) => {
  const all = await links();
  const wide = all.find(({ first, last }) => first > 500 && last - first >= 2)!;
  const single = all.find(({ first, last }) => first > 500 && first === last)!;
  const at = `partition = ${PARTITION} AND seq`;
  const changed = `movements ${wide.first} to ${wide.last} are not what was written: changed, or put in another order`;
  for (const change of [
    'quantity = quantity + 1',
    'at = at + 1',
    'epoch = epoch + 1',
    'kind = kind + 1',
    'fingerprint = fingerprint + 1',
    "actor = actor || 'x'",
    "detail = E'\\t' || detail",
  ])
    t.equal(await found([`UPDATE movements SET ${change} WHERE ${at} = ${wide.first + 1}`]), changed, change);
  t.equal(
    await found([`UPDATE movements SET version = version + 1 WHERE ${at} = ${single.first}`]),
    `movement ${single.first} is not what was written: changed, or put in another order`,
  );
  // What moves from one field to the next is not the same.
  const nasty = history.events.find(({ actor }) => actor === 'a\tb')!.seq;
  const moved = `UPDATE movements SET actor = 'a', detail = E'b\\t' || detail WHERE ${at} = ${nasty}`;
  t.match(await found([moved]), /not what was written/);
  // In two steps, for the key.
  const swap = [
    [wide.first, -1],
    [wide.first + 1, wide.first],
    [-1, wide.first + 1],
  ].map(([from, to]) => `UPDATE movements SET seq = ${to} WHERE ${at} = ${from}`);
  t.equal(await found(swap), changed, 'two change places');

  t.equal(
    await found([`DELETE FROM movements WHERE ${at} = ${wide.first + 1}`]),
    `1 of movements ${wide.first} to ${wide.last} were deleted`,
  );
  t.equal(
    await found([`DELETE FROM movements WHERE ${at} >= ${wide.first}`]),
    `${wide.last - wide.first + 1} of movements ${wide.first} to ${wide.last} were deleted`,
    'the end of the ledger',
  );
  const twice = `INSERT INTO movements (seq, epoch, at, partition, kind, quantity, available, reserved, sold, version, deadline,
      fingerprint, attempt, ref, id, actor, detail)
    SELECT seq, epoch, at + 1, partition, kind, quantity, available, reserved, sold, version, deadline, fingerprint, attempt, ref, id,
      actor, detail FROM movements WHERE ${at} = ${wide.first}`;
  t.equal(await found([twice]), `1 movements were put in among movements ${wide.first} to ${wide.last}`);
});

t.test('each way to change the chain is found and named', async (t) => {
  const all = await links();
  const n = 120;
  const [before, link, after] = [all[n - 1]!, all[n]!, all[n + 1]!];
  const end = all[all.length - 1]!;
  const at = (seq: number) => `partition = ${PARTITION} AND last_seq = ${seq}`;
  const name = ({ first, last }: { first: number; last: number }) =>
    first === last ? `movement ${first}` : `movements ${first} to ${last}`;

  t.equal(await found([`DELETE FROM ledger_chain WHERE ${at(link.last)}`]), `the link of ${name(link)} is missing`);
  t.equal(await found([`DELETE FROM ledger_chain WHERE ${at(end.last)}`]), `the link of ${name(end)} is missing`);
  t.equal(
    await found([`DELETE FROM ledger_chain WHERE partition = ${PARTITION}`]),
    `the link of movements 1 to ${last} is missing`,
  );
  const other = `UPDATE ledger_chain SET hash = sha256(hash) WHERE ${at(link.last)}`;
  t.equal(await found([other]), `the link of ${name(link)} was changed`);
  t.equal(
    await found([`UPDATE ledger_chain SET hash = '' WHERE ${at(link.last)}`]),
    `the link of ${name(link)} is empty`,
  );
  const joined = [
    `DELETE FROM ledger_chain WHERE ${at(link.last)}`,
    `UPDATE ledger_chain SET first_seq = ${link.first} WHERE ${at(after.last)}`,
  ];
  t.match(await found(joined), new RegExp(`${link.first} to ${after.last} are not what was written`), 'two made one');
  const swapped = `UPDATE ledger_chain c SET hash = o.hash FROM ledger_chain o WHERE c.partition = ${PARTITION} AND o.partition = ${PARTITION}
    AND (c.last_seq, o.last_seq) IN ((${link.last}, ${after.last}), (${after.last}, ${link.last}))`;
  t.match(
    await found([swapped]),
    new RegExp(`${name(link)} (is|are) not what was written|of ${name(link)} was changed`),
  );
  const put = `INSERT INTO ledger_chain (partition, first_seq, last_seq, hash) VALUES (${PARTITION}, 1, ${last + 5}, sha256('x'))`;
  t.equal(
    await found([put]),
    `the link of movements 1 to ${last + 5} was put in: the one before it ends at movement ${last}`,
  );
  const far = `UPDATE ledger_chain SET first_seq = first_seq, last_seq = last_seq + 1000000000 WHERE ${at(end.last)}`;
  t.match(await found([far]), /is about more than was ever written at once/);
  const forgotten = [
    `DELETE FROM ledger_chain WHERE partition = ${PARTITION} AND last_seq <= ${before.last}`,
    `INSERT INTO ledger_chain (partition, first_seq, last_seq, hash) VALUES (${PARTITION}, 1, ${before.last}, '')`,
  ];
  t.match(await found(forgotten), new RegExp(`${name(link)} (is|are) not what was written`), 'an older age is made up');
});

t.test('a chain made anew fits the ledger, and not what was noted of the old one', async (t) => {
  const heads = new Map<number, ChainHead>();
  await checkDatabase(database.pools, PARTITION, { problems: new Problems(), heads, wholeChain: true });
  const noted = chainHeads(JSON.stringify({ chain: chainEnds(heads) })).get(PARTITION)!;
  t.equal(await found([], noted), undefined);
  const anew = [
    `UPDATE movements SET actor = 'nobody' WHERE partition = ${PARTITION} AND seq = 3`,
    `DELETE FROM ledger_chain WHERE partition = ${PARTITION}`,
    `INSERT INTO ledger_chain (partition, first_seq, last_seq, hash) VALUES (${PARTITION}, 1, ${last}, '')`,
  ];
  t.equal(await found(anew), undefined, 'by itself nothing tells');
  const told = `the link that ends at movement ${last} is not the one it was when it was last looked at`;
  t.equal(await found(anew, noted), told);
  t.equal(await found(anew, noted, false), told);
  for (const text of ['', 'x', 'null', '{}', '{"chain":1}']) t.throws(() => chainHeads(text), /no report/, text);
  t.throws(() => chainHeads('{"chain":[{"partition":1,"seq":2,"hash":"x"}]}'), /not a partition/);
});

t.test('what was added is checked without reading the rest again', async (t) => {
  const heads = new Map<number, ChainHead>();
  await checkDatabase(database.pools, PARTITION, { problems: new Problems(), heads, wholeChain: true });
  const half = (await links())[120]!;
  const { rows } = await database.pools.general.query<{ hash: Buffer }>(
    'SELECT hash FROM ledger_chain WHERE partition = $1 AND last_seq = $2',
    [PARTITION, half.last],
  );
  const known = { seq: half.last, hash: rows[0]!.hash };
  const change = (seq: number) => [`UPDATE movements SET kind = 1 WHERE partition = ${PARTITION} AND seq = ${seq}`];
  t.equal(await found(change(half.first), known, false), undefined);
  t.match(await found(change(half.first), known, true), /not what was written/);
  t.match(await found(change(half.last + 1), known, false), /not what was written/);
});

t.test('where the oldest movements are gone as a whole, the rest can still be checked', async (t) => {
  const all = await links();
  const inside = all.find(({ first, last }) => first > 300 && last - first >= 2)!;
  const gone = (upTo: number) => `DELETE FROM movements WHERE partition = ${PARTITION} AND seq <= ${upTo}`;
  const later = `UPDATE movements SET quantity = 77 WHERE partition = ${PARTITION} AND seq = ${last - 100}`;
  for (const upTo of [inside.last, inside.first]) {
    t.equal(await found([gone(upTo)]), undefined);
    t.match(await found([gone(upTo), later]), /not what was written/);
  }
});

import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import t from 'tap';
import { migrate, migrationsFolder } from '../../workers/db/migrate.js';
import { prepareDatabase } from '../../workers/db/prepare.js';
import { persist, persistAll, readPosition } from '../../workers/drain/persist.js';
import { KIND } from '../../workers/kinds.js';
import { type ChainHead, checkChain } from '../../workers/verify/chain.js';
import { Problems } from '../../workers/verify/problems.js';
import { checkDatabase, openDatabase, type TestDatabase } from './database.js';
import { cut, History, randomOf } from './history.js';

let database: TestDatabase;
let client: pg.PoolClient;

t.before(async () => {
  database = await openDatabase(4);
  client = await database.pools.drain.connect();
});

t.teardown(async () => {
  client.release();
  await database.close();
});

t.test('a batch that is refused leaves no link, and the next one goes on', async (t) => {
  const partition = 2;
  const one = new History(partition, randomOf(7));
  const random = randomOf(8);
  for (let n = 0; n < 60; n++) one.step();
  let position = await readPosition(client, partition);
  for (const batch of cut(one.events, random, 20)) {
    const bad = [...batch.slice(0, -1), { ...batch[batch.length - 1]!, available: -1, ref: 'x:y', version: 99 }];
    await t.rejects(persist(client, position, bad), { code: '23514' });
    const next = await persist(client, position, batch);
    // Somebody else was first.
    await t.rejects(persistAll(client, [{ position, events: batch }]), { code: 'HF002' });
    position = await readPosition(client, partition);
    t.same(position, next, 'read again it is the same');
  }
  const problems = new Problems();
  await checkDatabase(database.pools, partition, { problems, heads: new Map(), wholeChain: true });
  t.same(problems.list, []);
});

t.test('a transaction that is tried a second time, for an id that is used again, leaves one link', async (t) => {
  const partition = 3;
  const one = new History(partition, randomOf(9));
  const hold = one.hold(1, 1);
  one.now++;
  one.resolve(hold, KIND.released, 3);
  let position = await persist(client, await readPosition(client, partition), one.events);
  const from = one.events.length;
  one.now++;
  const again = one.hold(1, 1);
  const events = one.events.slice(from).map((event) => (event.id === again.id ? { ...event, id: hold.id } : event));
  position = await persist(client, position, events);
  const { rows } = await database.pools.general.query('SELECT state FROM holds WHERE partition = $1', [partition]);
  t.same(rows, [{ state: 1 }], 'the row was there and was written over');
  const problems = new Problems();
  const heads = new Map<number, ChainHead>();
  await checkDatabase(database.pools, partition, { problems, heads, wholeChain: true });
  t.same(
    problems.list.filter(({ subject }) => subject === 'ledger chain'),
    [],
  );
  t.same(heads.get(partition), { seq: position.seq, hash: position.link });
});

t.test('the ledger of an older version goes on with a chain', async (t) => {
  const old = await openDatabase(4, { migrated: false });
  const dir = mkdtempSync(join(tmpdir(), 'hf-chain-'));
  try {
    mkdirSync(join(dir, 'sql'));
    for (const file of readdirSync(migrationsFolder()))
      if (file < '0028') cpSync(join(migrationsFolder(), file), join(dir, 'sql', file));
    await migrate(old.url, join(dir, 'sql'));
    const history = new History(1, randomOf(5), 70);
    const events = history.events.slice(0, 200);
    await old.pools.general.query(
      `INSERT INTO movements SELECT * FROM jsonb_populate_recordset(NULL::movements, $1::jsonb)`,
      [JSON.stringify(events)],
    );
    await old.pools.general.query(
      'INSERT INTO positions (partition, epoch, log_epoch, seq) VALUES ($1, 1, 1, 200)',
      [1],
    );
    await prepareDatabase(old.url, old.pools.general, 4);
    const drain = await old.pools.drain.connect();
    const more = { ...history.events[0]!, seq: 201, epoch: 1 };
    await persist(drain, await readPosition(drain, 1), [more]);
    drain.release();
    const reader = await old.pools.general.connect();
    const chain = await checkChain(reader, 1, 1, 201, undefined, true);
    t.equal(chain.broken, undefined);
    t.equal(chain.head.seq, 201);
    reader.release();
  } finally {
    await old.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

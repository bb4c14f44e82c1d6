/** A persist transaction whose client stops amid the rows of a COPY, or amid a statement, does not keep recovery out. */
import t from 'tap';
import pg from 'pg';
import { takeDrainLock } from '../../workers/db/drain-lock.js';
import { sqlState } from '../../workers/drain/errors.js';
import { testDatabase } from '../harness/index.js';

const TIMEOUT_MS = 500;

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

t.test('the drain lock of a partition', async (t) => {
  const { url } = await testDatabase({ migrated: false });
  const [holder, recovery] = [await connect(url), await connect(url)];
  t.teardown(async () => {
    await recovery.end();
    await holder.end().catch(() => undefined);
  });
  await holder.query('CREATE TEMP TABLE received (n integer)');
  await holder.query('BEGIN; SELECT pg_advisory_xact_lock(1212961604, 3)');
  const refused = await takeDrainLock(recovery, 3, TIMEOUT_MS).catch((error: unknown) => error);
  t.equal(sqlState(refused), '55P03', 'a holder that is not in a COPY is left alone');
  t.equal((await holder.query('SELECT 1')).rowCount, 1);
  // The statement without its data, as a client leaves it that freezes between the two.
  const { connection } = holder as unknown as { connection: pg.Connection };
  const ended = new Promise((resolve) => holder.once('end', resolve));
  connection.query('COPY received FROM STDIN');
  await takeDrainLock(recovery, 4, TIMEOUT_MS);
  await takeDrainLock(recovery, 3, TIMEOUT_MS);
  await ended;
  const { rows } = await recovery.query<{ held: boolean }>(
    `SELECT true AS held FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = 3 AND pid = pg_backend_pid()`,
  );
  t.same(rows, [{ held: true }], 'recovery has it');
});

t.test('the drain lock of a partition whose worker stopped amid a statement', async (t) => {
  const { url } = await testDatabase({ migrated: false });
  const [holder, recovery] = [await connect(url), await connect(url)];
  t.teardown(async () => {
    await recovery.end();
    await holder.end().catch(() => undefined);
  });
  await holder.query('BEGIN; SELECT pg_advisory_xact_lock(1212961604, 3)');
  const { connection } = holder as unknown as { connection: pg.Connection };
  const ended = new Promise((resolve) => holder.once('end', resolve));
  // Half of what a statement with parameters is sent as: Parse, and of Bind its type, its length and no more.
  connection.parse({ name: '', text: 'SELECT $1::integer', types: [] }, true);
  connection.stream.write(Buffer.from([0x42, 0, 0, 0, 0x40]));
  await takeDrainLock(recovery, 3, TIMEOUT_MS);
  await ended;
  t.pass('recovery has it');
});

/** Postgres over TLS, as HOLDFAST_DATABASE_URL asks for it: migrations, workers, front ends. (docs/security.md) */
import { chownSync, copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import t from 'tap';
import { Partitions } from '../../engine/partitions.js';
import { Database } from '../../server/sql/database.js';
import { startPostgres } from '../../stack/postgres.js';
import { migrate } from '../../workers/db/migrate.js';
import { openPools } from '../../workers/db/pools.js';
import { prepareDatabase } from '../../workers/db/prepare.js';
import { atEnd, tempDir } from '../harness/index.js';
import { makeCertificates, noOpenssl } from './certificates.js';

const skip = noOpenssl();
if (skip) console.error(`# SKIPPED, nothing about TLS is tested: ${skip}`);

/** Whether the session that asks is encrypted. */
const ENCRYPTED = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';

t.test('a server that talks TLS', { skip: skip ?? false }, async (t) => {
  const ours = makeCertificates('IP:127.0.0.1');
  const strangers = makeCertificates();
  const dir = join(tempDir(), 'postgres');
  // Made once without: its folder has to be there before the certificate can lie in it, readable for its user alone.
  const first = await startPostgres({ dir });
  await first.stop();
  const data = join(dir, 'data');
  const { uid, gid } = statSync(data);
  for (const [from, to] of [
    [ours.cert, 'server.crt'],
    [ours.key, 'server.key'],
  ] as const) {
    copyFileSync(from, join(data, to));
    if (process.getuid?.() === 0) chownSync(join(data, to), uid, gid);
  }
  const postgres = await startPostgres({ dir, settings: { ssl: 'on' } });
  atEnd(() => postgres.stop());
  const url = (sslmode: string, ca?: string) => {
    const changed = new URL(postgres.url);
    changed.searchParams.set('sslmode', sslmode);
    if (ca) changed.searchParams.set('sslrootcert', ca);
    return changed.href;
  };
  const verified = url('verify-full', ours.ca);

  t.ok((await migrate(verified)).length > 0);
  const pools = openPools(verified);
  atEnd(() => pools.end());
  await prepareDatabase(verified, pools.general, 4);
  for (const pool of [pools.general, pools.drain]) t.same((await pool.query(ENCRYPTED)).rows, [{ ssl: true }]);

  const errors: string[] = [];
  const database = new Database(verified, new Partitions(4), ({ message }) => errors.push(message));
  t.equal(await database.reachable(), true);
  await database.close();
  t.same(errors, []);

  for (const [ca, what] of [
    [strangers.ca, 'signed by somebody else'],
    [undefined, 'signed by nobody whom Node trusts'],
  ] as const) {
    await t.rejects(migrate(url('verify-full', ca)), /certificate/, what);
    const wary = new Database(url('verify-full', ca), new Partitions(4), ({ message }) => errors.push(message));
    t.equal(await wary.reachable(), false, what);
    await wary.close();
    t.match(errors.pop(), /certificate/);
  }
  const elsewhere = new URL(verified);
  elsewhere.hostname = 'localhost';
  await t.rejects(migrate(elsewhere.href), /does not match certificate/, 'a host that the certificate does not name');
});

t.test('a server without TLS is not talked to when TLS is asked for', async (t) => {
  const plain = await startPostgres({ dir: join(tempDir(), 'postgres') });
  atEnd(() => plain.stop());
  const client = new pg.Client({ connectionString: `${plain.url}?sslmode=verify-full` });
  await t.rejects(client.connect(), /does not support SSL/);
});

import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { migrate } from '../../workers/db/migrate.js';
import { atEnd, sharedDatabaseUrl } from './shared.js';

export interface TestDatabase {
  url: string;
  name: string;
  /** Removes it at once, ending the sessions that are still open; otherwise that happens at the end of the file. */
  drop(): Promise<void>;
}

const TEMPLATE = 'holdfast_template';
/** Serialises the making of the template between test files that start at the same moment. */
const TEMPLATE_LOCK = 7_160_291;

/**
 * A database of its own on the run's Postgres, dropped at the end of the file. With `migrated` (the default) it is a copy of a
 * template to which all migrations of `workers/sql` were applied once per run; otherwise it is empty.
 */
export async function testDatabase({ migrated = true }: { migrated?: boolean } = {}): Promise<TestDatabase> {
  const maintenance = await sharedDatabaseUrl();
  const name = `t_${randomBytes(5).toString('hex')}`;
  await withClient(maintenance, async (client) => {
    if (!migrated) return void (await client.query(`create database ${name}`));
    await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    await ensureTemplate(client, maintenance);
    await client.query(`create database ${name} template ${TEMPLATE} strategy file_copy`);
  });
  let dropped = false;
  const drop = async () => {
    if (dropped) return;
    dropped = true;
    await withClient(maintenance, (client) => client.query(`drop database if exists ${name} with (force)`));
  };
  atEnd(drop);
  return { url: withDatabase(maintenance, name), name, drop };
}

async function ensureTemplate(client: pg.Client, maintenance: string): Promise<void> {
  const found = await client.query('select 1 from pg_database where datname = $1', [TEMPLATE]);
  if (found.rowCount) return;
  // Made under another name first: a template whose migration failed must not be taken for a good one by the next file.
  const making = `${TEMPLATE}_new`;
  await client.query(`drop database if exists ${making} with (force)`);
  await client.query(`create database ${making}`);
  await migrate(withDatabase(maintenance, making));
  await client.query(`alter database ${making} rename to ${TEMPLATE}`);
}

export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

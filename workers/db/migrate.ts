import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import pg from 'pg';
import Postgrator from 'postgrator';

/** Advisory lock of a whole migration: workers start together and one of them migrates. */
const MIGRATION_LOCK = 1212961601;

/** The folder of the numbered SQL files, from source (`workers/db`) or compiled (`dist/workers/db`). */
export function migrationsFolder(): string {
  for (const candidate of ['../sql', '../../../workers/sql']) {
    const folder = fileURLToPath(new URL(candidate, import.meta.url));
    if (existsSync(folder)) return folder;
  }
  throw new Error('The folder workers/sql with the database migrations is missing.');
}

export class DatabaseTooNew extends Error {
  override readonly name = 'DatabaseTooNew';
}

/** Migrations are missing, and the role that logged in owns nothing. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused';
}

/**
 * Brings the database to this version: all missing migrations in one transaction, or none. Checksums of those applied earlier are
 * compared. Rejects with DatabaseTooNew when the database has migrations that this version does not know. A role that does not own the
 * tables can do this where nothing is missing; else it rejects with MigrationRefused.
 * @returns numbers of the migrations applied now
 */
export async function migrate(databaseUrl: string, folder = migrationsFolder()): Promise<number[]> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'holdfast-migrate' });
  await client.connect();
  try {
    const postgrator = new Postgrator({
      driver: 'pg',
      migrationPattern: join(folder, '*.sql').replaceAll('\\', '/'),
      schemaTable: 'schemaversion',
      newline: 'LF',
      execQuery: (query) => client.query(query),
    });
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    const newest = await postgrator.getMaxVersion();
    const present = await postgrator.getDatabaseVersion();
    if (present > newest) {
      throw new DatabaseTooNew(
        `The database is at migration ${present}, this version of Holdfast knows ${newest}: run the newer version, or use another database.`,
      );
    }
    if (present < newest) await requireOwner(client, present, newest);
    const applied = await postgrator.migrate();
    await client.query('COMMIT');
    return applied.map((migration) => migration.version);
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    await client.end();
  }
}

/** Asked first: what Postgres says in the middle of a migration is about whatever statement comes first. */
async function requireOwner(client: pg.Client, present: number, newest: number): Promise<void> {
  const { rows } = await client.query<{ may: boolean | null }>(
    `SELECT CASE WHEN to_regclass('schemaversion') IS NULL THEN has_schema_privilege(current_schema(), 'CREATE')
       ELSE has_table_privilege('schemaversion', 'INSERT') END AS may`,
  );
  if (rows[0]!.may) return;
  throw new MigrationRefused(
    `The database is at migration ${present}, this version of Holdfast needs ${newest}, and the role "${client.user}" may not ` +
      'change the schema. Run ./holdfast migrate as the owner of the tables first.',
  );
}

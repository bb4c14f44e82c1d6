/**
 * Who logs in to a Postgres of ours: `owner` has the tables and migrates, `worker`, `server` and `reader` are given what they need
 * after each migration (workers/db/roles.ts). The superuser that made the server makes these, and nothing else.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';

export type PostgresRole = 'owner' | 'worker' | 'server' | 'reader';
const POSTGRES_ROLES: readonly PostgresRole[] = ['owner', 'worker', 'server', 'reader'];

/** Passwords by role. */
export type PostgresPasswords = Readonly<Record<PostgresRole, string>>;

export function postgresRole(role: PostgresRole): string {
  return `holdfast_${role}`;
}

export function makePostgresPasswords(): PostgresPasswords {
  const made = POSTGRES_ROLES.map((role) => [role, randomBytes(24).toString('base64url')] as const);
  return Object.fromEntries(made) as Record<PostgresRole, string>;
}

/** The URL of the superuser with another role in it. */
export function urlOfRole(url: string, role: PostgresRole, passwords: PostgresPasswords): string {
  const changed = new URL(url);
  changed.username = postgresRole(role);
  changed.password = passwords[role];
  return changed.href;
}

/**
 * Makes the roles, gives database and schema to the owner, and takes from everybody else what Postgres gives to all. Harmless to
 * repeat; a database that was used before there were roles comes to the owner with all that is in it.
 * @param url of a superuser, to the database in question
 */
export async function ensurePostgresRoles(url: string, passwords: PostgresPasswords): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const role of POSTGRES_ROLES) {
      const name = postgresRole(role);
      const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name]);
      const password = client.escapeLiteral(passwords[role]);
      await client.query(
        `${rowCount ? 'ALTER' : 'CREATE'} ROLE ${name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD ${password}`,
      );
    }
    const owner = postgresRole('owner');
    const database = client.escapeIdentifier(client.database!);
    await client.query(`ALTER DATABASE ${database} OWNER TO ${owner}`);
    await client.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
    await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${POSTGRES_ROLES.map(postgresRole).join(', ')}`);
    await client.query(`ALTER SCHEMA public OWNER TO ${owner}`);
    await client.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
    await client.query(handOver(owner));
  } finally {
    await client.end();
  }
}

/** Everything in the schema that somebody else owns. Partitions before their tables is fine: each is altered by itself. */
function handOver(owner: string): string {
  return `DO $$
DECLARE one record;
BEGIN
  FOR one IN
    SELECT format('ALTER %s %I.%I OWNER TO ${owner}', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
      'public', relname) AS command
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> '${owner}'::regrole
      AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND deptype IN ('a', 'i') AND relkind = 'S')
    UNION ALL
    SELECT format('ALTER ROUTINE %s OWNER TO ${owner}', oid::regprocedure)
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proowner <> '${owner}'::regrole
  LOOP
    EXECUTE one.command;
  END LOOP;
END
$$`;
}

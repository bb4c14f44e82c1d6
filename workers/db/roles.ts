/** What each role may do to each table: the app can add to the ledger and never change it (S7). docs/security.md has the reasons. */
import pg from 'pg';

/** `worker`: drains, recovers, rebuilds. `server`: front ends. `reader`: verify and reports. */
export type AppRole = 'worker' | 'server' | 'reader';

/** Names of login roles that are there already. One left out is given nothing. */
export type RoleNames = Partial<Readonly<Record<AppRole, string>>>;

/** Privileges of `worker`, and whether front ends read it. `reader` may read everything. */
interface TableRights {
  readonly worker: string;
  readonly server?: boolean;
}

/** Every table and view of the schema; test/security compares. Partitions of the ledger are reached through `movements` alone. */
export const TABLE_RIGHTS: Readonly<Record<string, TableRights>> = {
  movements: { worker: 'SELECT, INSERT', server: true },
  reversals: { worker: 'SELECT, INSERT' },
  openings: { worker: 'SELECT, INSERT' },
  ledger_chain: { worker: 'SELECT, INSERT' },
  positions: { worker: 'SELECT, INSERT, UPDATE' },
  stock: { worker: 'SELECT, INSERT, UPDATE', server: true },
  holds: { worker: 'SELECT, INSERT, UPDATE, DELETE', server: true },
  claims: { worker: 'SELECT, INSERT, UPDATE, DELETE', server: true },
  id_records: { worker: 'SELECT, INSERT, UPDATE, DELETE' },
  bought_units: { worker: 'SELECT, INSERT, UPDATE' },
  quarantine: { worker: 'SELECT, INSERT, UPDATE, DELETE' },
  movement_kinds: { worker: 'SELECT, INSERT, UPDATE' },
  movement_trail: { worker: 'SELECT' },
  schemaversion: { worker: 'SELECT' },
};

/** Functions of the schema are for everybody unless taken back; front ends and readers call none. */
const WORKER_FUNCTIONS = 'EXECUTE ON ALL FUNCTIONS IN SCHEMA public';

/**
 * Gives the roles what the table above says, and takes back whatever else they had in the schema. Run as the owner, after every
 * migration; harmless to repeat.
 * @throws Error of Postgres for a role that does not exist
 */
export async function grantRoles(ownerUrl: string, names: RoleNames): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'holdfast-migrate' });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query('REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC');
    for (const [role, name] of Object.entries(names) as [AppRole, string][]) {
      const to = client.escapeIdentifier(name);
      await client.query(`GRANT USAGE ON SCHEMA public TO ${to}`);
      await client.query(`REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ${to}`);
      if (role === 'worker') await client.query(`GRANT ${WORKER_FUNCTIONS} TO ${to}`);
      for (const [table, rights] of Object.entries(TABLE_RIGHTS)) {
        const granted = role === 'worker' ? rights.worker : role === 'reader' || rights.server ? 'SELECT' : undefined;
        if (granted) await client.query(`GRANT ${granted} ON ${table} TO ${to}`);
      }
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    await client.end();
  }
}

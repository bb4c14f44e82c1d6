import type pg from 'pg';
import { KIND } from '../kinds.js';
import { ensureLedgerRanges, type RangeResult } from './ledger-ranges.js';
import { migrate } from './migrate.js';

/** Everything the database needs before a worker drains: migrations, ledger ranges, names of the kinds, a position per partition. */
export async function prepareDatabase(
  databaseUrl: string,
  pool: pg.Pool,
  partitions: number,
): Promise<{ migrations: number[]; ranges: RangeResult }> {
  const migrations = await migrate(databaseUrl);
  const ranges = await ensureLedgerRanges(pool);
  await pool.query(
    `INSERT INTO movement_kinds (kind, name) SELECT * FROM unnest($1::smallint[], $2::text[])
     ON CONFLICT (kind) DO UPDATE SET name = excluded.name WHERE movement_kinds.name <> excluded.name`,
    [Object.values(KIND), Object.keys(KIND)],
  );
  await pool.query('INSERT INTO positions (partition) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING', [
    partitions,
  ]);
  const { rows } = await pool.query<{ highest: number }>('SELECT max(partition) AS highest FROM positions');
  if (rows[0]!.highest >= partitions) {
    throw new Error(
      `The database knows ${rows[0]!.highest + 1} partitions, HOLDFAST_PARTITIONS says ${partitions}: the number is chosen once per installation.`,
    );
  }
  return { migrations, ranges };
}

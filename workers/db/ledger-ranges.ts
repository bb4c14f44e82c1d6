import type pg from 'pg';

/** Advisory lock for making ranges: workers start together. */
const RANGES_LOCK = 1212961602;
/** Months made ahead of the current one, so that a worker away for weeks still finds them. */
const MONTHS_AHEAD = 2;

export interface RangeResult {
  readonly created: string[];
  /** Months that cannot be made because movements of that time lie in the rest table already. */
  readonly blocked: string[];
}

/** Makes the ledger's tables for this month and the next ones (UTC months, bounds in ms). Harmless to repeat. */
export async function ensureLedgerRanges(pool: pg.Pool, now = Date.now()): Promise<RangeResult> {
  const result: RangeResult = { created: [], blocked: [] };
  const client = await pool.connect();
  try {
    for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead++) await ensureMonth(client, monthStart(now, ahead), result);
  } finally {
    client.release();
  }
  return result;
}

function monthStart(now: number, ahead: number): Date {
  const date = new Date(now);
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + ahead, 1));
}

async function ensureMonth(client: pg.PoolClient, from: Date, result: RangeResult): Promise<void> {
  const name = `movements_${from.getUTCFullYear()}_${String(from.getUTCMonth() + 1).padStart(2, '0')}`;
  const { rows } = await client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [name]);
  if (rows[0]?.there) return;
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [RANGES_LOCK]);
    // Making a range locks the rest table: do not queue up behind a long transaction with every insert behind us.
    await client.query("SET LOCAL lock_timeout = '3s'");
    // The tables belong to the owner of the ledger, who need not be the one that we are (docs/security.md).
    await client.query('SELECT make_ledger_range($1, $2)', [from.getUTCFullYear(), from.getUTCMonth() + 1]);
    await client.query('COMMIT');
    result.created.push(name);
  } catch (error) {
    await client.query('ROLLBACK');
    // 23514: rows of that time stand in the rest table; they stay there, and so do later ones. 55P03: lock timeout, next time.
    const code = (error as { code?: string }).code;
    if (code === '23514') result.blocked.push(name);
    else if (code !== '55P03') throw error;
  }
}

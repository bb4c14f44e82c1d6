import type pg from 'pg';
import { limits } from '../../engine/scripts/generated/limits.js';

/** Rows a statement removes at most, so that no lock is held for long. */
const PAGE = 5_000;
const PAGES = 200;
/** Projections keep records this much longer than Redis does, so that a restored Redis finds everything it might remember. */
const SLACK_MS = 2 * 86_400_000;

const ENDED = `resolved_at > 0 AND resolved_at + $1 + CASE WHEN state IN (2, 5) THEN ${limits.return_window_seconds * 1_000}
  ELSE ${limits.retention_seconds * 1_000} END < extract(epoch FROM now()) * 1000`;

/** What a buyer has bought of a limited item stays counted: a trigger keeps the units (0021), the limit has no end. (S8) */
const STATEMENTS = [
  prune('holds', ENDED),
  prune('claims', ENDED),
  prune('id_records', `updated_at + $1 + ${limits.retention_seconds * 1_000} < extract(epoch FROM now()) * 1000`),
];

function prune(table: string, condition: string): string {
  return `DELETE FROM ${table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM ${table} WHERE ${condition} LIMIT ${PAGE}))`;
}

/** Removes records from the projections that Redis forgot days ago. The ledger keeps everything. Returns how many. */
export async function pruneProjections(pool: pg.Pool, slackMs = SLACK_MS): Promise<number> {
  let removed = 0;
  for (const text of STATEMENTS) {
    for (let page = 0; page < PAGES; page++) {
      const { rowCount } = await pool.query(text, [slackMs]);
      removed += rowCount ?? 0;
      if ((rowCount ?? 0) < PAGE) break;
    }
  }
  return removed;
}

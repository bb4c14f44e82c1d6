import type pg from 'pg';
import { Partitions } from '../../engine/partitions.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import type { Problems } from './problems.js';

const PAUSE_MS = 150;
/** What was decided longer ago may have been forgotten in one partition and not yet in another, ms. */
const LOOKED_AT_MS = (limits.return_window_seconds - limits.retention_seconds) * 1_000;

/** A claim that is sold, by each of its lines that is neither sold nor still held for it. */
const LINES_MISSING = `SELECT c.partition, c.id, line.ref FROM claims c, unnest(c.refs) AS line(ref)
  WHERE c.state IN (2, 5) AND c.resolved_at > $1 AND NOT EXISTS (SELECT 1 FROM holds h
    WHERE h.id = c.id AND h.attempt = c.attempt AND h.state IN (1, 2, 5) AND line.ref = ANY(h.refs))
  LIMIT 1000`;
/**
 * A part that is sold, without a claim that is. (One whose units are all back is none: the sweep brings them back where a sale is lost.) By its
 * deadline, as by when it was resolved: units that come back make it younger than its claim.
 */
const PARTS_ALONE = `SELECT h.partition, h.id, h.refs[1] AS ref FROM holds h
  WHERE h.attempt > 0 AND h.state = 2 AND h.resolved_at > $1 AND h.deadline > $1 AND NOT EXISTS (SELECT 1 FROM claims c
    WHERE c.id = h.id AND c.attempt = h.attempt AND c.state IN (2, 5))
  LIMIT 1000`;

interface Row {
  readonly partition: number;
  readonly id: string;
  readonly ref: string;
}

/**
 * Reservations over several partitions are sold as a whole: each sold claim has all its parts, each sold part its claim. (S5)
 * Partitions are persisted one by one, so that what does not fit is read again until it does, or until `until` (ms). Partitions
 * that have problems of their own are left out: they say enough.
 */
export async function checkParts(pool: pg.Pool, count: number, until: number, problems: Problems): Promise<void> {
  const partitions = new Partitions(count);
  const troubled = new Set(problems.list.map((problem) => problem.partition));
  const concerns = (row: Row, other: number) => !troubled.has(row.partition) && !troubled.has(other);
  for (;;) {
    const since = Date.now() - LOOKED_AT_MS;
    const [missing, alone] = await Promise.all(
      [LINES_MISSING, PARTS_ALONE].map(async (text) => (await pool.query<Row>(text, [since])).rows),
    );
    const lines = missing!.filter((row) => concerns(row, partitions.of(row.ref)));
    const parts = alone!.filter((row) => concerns(row, partitions.home(row.id)));
    if (lines.length + parts.length > 0 && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      continue;
    }
    for (const { partition, id, ref } of lines)
      problems.add(partition, `claim ${id}`, `is sold, and its line of ${ref} is not`);
    for (const { partition, id } of parts)
      problems.add(partition, `reservation ${id}`, 'is a part that is sold, and its claim is not');
    return;
  }
}

import type pg from 'pg';
import { Seldom } from '../ops/seldom.js';

/** Who has had a partition for so long that somebody should look. */
export interface Elsewhere {
  readonly partition: number;
  /** For how long it has been tried for, as far as this process knows. */
  readonly seconds: number;
  /** Backend of Postgres that holds its lock; undefined where it has just gone. */
  readonly pid: number | undefined;
  /** Address of its client; null for a local one, or where this role may not know. */
  readonly client: string | null | undefined;
}

/** Recoveries take seconds where much is written back. */
const LONG_MS = 10_000;
/** A partition that was not tried for that long has been open meanwhile. */
const GAP_MS = 5_000;

const HOLDER = `
SELECT a.pid, host(a.client_addr) AS client FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::bigint::oid AND l.objid = $2::bigint::oid AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/** Partitions that other processes recover: one of them may have vanished, and keep everybody from selling. */
export class RecoveredElsewhere {
  private readonly tried = new Map<number, { readonly since: number; readonly last: number }>();
  private readonly seldom: Seldom;

  constructor(
    private readonly tell: (who: Elsewhere) => void,
    private readonly longMs = LONG_MS,
    private readonly now: () => number = Date.now,
  ) {
    this.seldom = new Seldom(longMs, now);
  }

  /** Somebody else has the lock `space` of the partition. */
  async refused(client: pg.ClientBase, space: number, partition: number): Promise<void> {
    const now = this.now();
    const known = this.tried.get(partition);
    const since = known && now - known.last < GAP_MS ? known.since : now;
    this.tried.set(partition, { since, last: now });
    if (now - since < this.longMs || this.seldom.say(`${partition}`) === undefined) return;
    const { rows } = await client.query<{ pid: number; client: string | null }>(HOLDER, [space, partition]);
    this.tell({ partition, seconds: Math.round((now - since) / 1_000), pid: rows[0]?.pid, client: rows[0]?.client });
  }

  had(partition: number): void {
    this.tried.delete(partition);
  }
}

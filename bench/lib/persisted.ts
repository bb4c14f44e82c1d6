/** What Postgres has of a run, and since when. */
import type { Engine } from '../../engine/types.js';
import { events } from '../../engine/scripts/generated/events.js';
import { withPg } from '../peers/postgres-rows.js';

/** Waits until every partition's events are committed. @returns why not, when that takes too long */
export async function drained(engine: Engine, timeoutMs: number): Promise<string | undefined> {
  const patience = performance.now() + timeoutMs;
  for (;;) {
    const behind = (await engine.partitions.status()).filter(
      ({ seq, epoch, persisted }) => seq > 0 && (persisted.seq < seq || persisted.epoch < epoch),
    );
    const missing = behind.reduce((sum, { seq, persisted }) => sum + seq - persisted.seq, 0);
    if (missing === 0) return undefined;
    if (performance.now() > patience)
      return `${missing} events are not in Postgres after ${timeoutMs / 1_000} s: loss or lag`;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function takenUnits(databaseUrl: string): Promise<{ sold: number; movements: number }> {
  const { rows } = await withPg(databaseUrl, (client) =>
    client.query<{ sold: string; movements: string }>(
      `select (select coalesce(sum(sold), 0) from stock) as sold,
        (select count(*) from movements where kind = $1) as movements`,
      [events.confirmed.number],
    ),
  );
  return { sold: Number(rows[0]!.sold), movements: Number(rows[0]!.movements) };
}

/** Milliseconds from an event's time to the commit of its row. Needs `track_commit_timestamp`. */
export async function persistLag(
  databaseUrl: string,
  [from, to]: readonly [number, number],
): Promise<{ p50: number; p99: number }> {
  const { rows } = await withPg(databaseUrl, (client) =>
    client.query<{ lags: number[] }>(
      `select percentile_cont(array[0.5, 0.99]) within group
         (order by extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000 - at) as lags
       from movements where at >= $1 and at < $2`,
      [from, to],
    ),
  );
  const [p50 = NaN, p99 = NaN] = rows[0]!.lags;
  return { p50, p99 };
}

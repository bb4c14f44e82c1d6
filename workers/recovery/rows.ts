/** Reads what Postgres has of a partition, in pages: recovery writes it back while the next one is on its way. */
import type pg from 'pg';
import type { HoldRecord, PersistedIdRecord, PersistedState, StockItem } from '../../engine/types.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import type { RecordRow as DrainedRow } from '../drain/records.js';
import { STATE_NAMES } from '../kinds.js';

/** Rows of a page. */
const PAGE = 500;

/** Statements that look at all that a partition has, or had since: they may take longer than the pool gives others, ms. */
const LONG_MS = 1_800_000;

function long(text: string, values: unknown[]): pg.QueryConfig {
  return { text, values, query_timeout: LONG_MS } as pg.QueryConfig;
}

interface Touched {
  refs: string[];
  holds: string[];
  claims: string[];
  ids: string[];
}

/** What Postgres has of the partition, or of that what was changed after `seq`; in pages, on one connection. */
export async function* changedSince(
  client: pg.ClientBase,
  partition: number,
  seq: number,
): AsyncGenerator<PersistedState> {
  const touched = seq > 0 ? await touchedSince(client, partition, seq) : undefined;
  yield* items(client, partition, touched?.refs);
  yield* records(client, partition, 'holds', touched?.holds);
  yield* records(client, partition, 'claims', touched?.claims);
  yield* idRecords(client, partition, touched?.ids);
  yield* buyers(client, partition, touched && { ...touched, seq });
}

/** What the ledger says was changed after `seq`. */
async function touchedSince(client: pg.ClientBase, partition: number, seq: number): Promise<Touched> {
  const { rows } = await client.query<{ refs: string[]; holds: string[]; claims: string[]; ids: string[] }>(
    long(
      `SELECT coalesce(array_agg(DISTINCT ref) FILTER (WHERE version > 0), '{}') AS refs,
       coalesce(array_agg(DISTINCT id) FILTER (WHERE kind BETWEEN 5 AND 11), '{}') AS holds,
       coalesce(array_agg(DISTINCT id) FILTER (WHERE kind BETWEEN 30 AND 37), '{}') AS claims,
       coalesce(array_agg(DISTINCT id) FILTER (WHERE kind BETWEEN 2 AND 4 AND id <> ''), '{}') AS ids
     FROM movements WHERE partition = $1 AND seq > $2`,
      [partition, seq],
    ),
  );
  return rows[0]!;
}

/** Rows of a table in pages by key: all of the partition, or those named. */
async function* pages<R extends { key: string }>(
  client: pg.ClientBase,
  select: string,
  key: string,
  partition: number,
  only: readonly string[] | undefined,
  kept = 'true',
): AsyncGenerator<R[]> {
  if (only) {
    for (let at = 0; at < only.length; at += PAGE) {
      const page = only.slice(at, at + PAGE);
      const { rows } = await client.query<R>(`${select} WHERE partition = $1 AND ${key} = ANY($2::text[])`, [
        partition,
        page,
      ]);
      yield rows;
    }
    return;
  }
  for (let after = ''; ;) {
    const { rows } = await client.query<R>(
      `${select} WHERE partition = $1 AND ${key} > $2 AND ${kept} ORDER BY ${key} LIMIT ${PAGE}`,
      [partition, after],
    );
    if (rows.length === 0) return;
    yield rows;
    after = rows[rows.length - 1]!.key;
  }
}

interface StockRow {
  key: string;
  location: string;
  sku: string;
  available: number;
  reserved: number;
  sold: number;
  version: number;
  updatedAt: number;
  settings: StockItem['settings'];
}

async function* items(client: pg.ClientBase, partition: number, only?: string[]): AsyncGenerator<PersistedState> {
  const select = `SELECT ref AS key, location, sku, available, reserved, sold, version, updated_at AS "updatedAt", settings FROM stock`;
  for await (const rows of pages<StockRow>(client, select, 'ref', partition, only)) {
    yield { items: rows.map(({ key: _, ...item }) => item) };
  }
}

/** A row of `holds` or `claims` as read here: its id is the key that pages go by. */
export type RecordRow = Omit<DrainedRow, 'id' | 'loaded'> & { key: string };

const RECORD = 'id AS key, state, deadline, fingerprint, attempt, buyer, resolved_at AS "resolvedAt", refs, quantities';
const SELECT_RECORDS = {
  holds: `SELECT ${RECORD}, held_at AS "startedAt", returned, counted FROM holds`,
  claims: `SELECT ${RECORD}, opened_at AS "startedAt" FROM claims`,
};

const NOW_MS = '(extract(epoch FROM now()) * 1000)';

/** What Redis still remembers: the sweep forgets a record when its retention is over (docs/protocol.md). */
const KEPT = `(state IN (1, 6) OR resolved_at + CASE WHEN state IN (2, 5) THEN ${limits.return_window_seconds * 1_000}
  ELSE ${limits.retention_seconds * 1_000} END > ${NOW_MS})`;

const KEPT_IDS = `updated_at + ${limits.retention_seconds * 1_000} > ${NOW_MS}`;

async function* records(
  client: pg.ClientBase,
  partition: number,
  table: 'holds' | 'claims',
  only?: string[],
): AsyncGenerator<PersistedState> {
  const missing = new Set(only);
  for await (const rows of pages<RecordRow>(client, SELECT_RECORDS[table], 'id', partition, only, KEPT)) {
    for (const row of rows) missing.delete(row.key);
    yield { [table]: rows.map((row) => toRecord(row, table)) };
  }
  if (missing.size > 0) {
    const gone = { holds: [] as string[], claims: [] as string[], [table]: [...missing] };
    yield { gone };
  }
}

/** A row of `holds` or `claims` as the engine's record. */
export function toRecord(row: RecordRow, table: 'holds' | 'claims'): HoldRecord {
  return {
    id: row.key,
    state: STATE_NAMES[row.state] as HoldRecord['state'],
    deadline: row.deadline,
    fingerprint: row.fingerprint,
    attempt: row.attempt,
    buyerId: row.buyer,
    resolvedAt: row.resolvedAt,
    ...(table === 'claims' ? { openedAt: row.startedAt } : {}),
    lines: row.refs.map((ref, line) => ({
      ...itemOf(ref),
      quantity: row.quantities[line]!,
      returned: row.returned?.[line] ?? 0,
      counted: row.counted?.[line] === 1,
    })),
  };
}

function itemOf(ref: string): { location: string; sku: string } {
  const colon = ref.indexOf(':');
  return { location: ref.slice(0, colon), sku: ref.slice(colon + 1) };
}

interface IdRow {
  key: string;
  ref: string;
  kind: number;
  fingerprint: number;
  available: number;
  reserved: number;
  sold: number;
  version: number;
  updatedAt: number;
}

async function* idRecords(client: pg.ClientBase, partition: number, only?: string[]): AsyncGenerator<PersistedState> {
  const select = `SELECT id AS key, ref, kind, fingerprint, available, reserved, sold, version, updated_at AS "updatedAt"
    FROM id_records`;
  if (only) {
    for await (const rows of pages<IdRow>(client, select, 'id', partition, only)) yield { ids: rows.map(toIdRecord) };
    return;
  }
  // One id may stand for several items: pages by number of rows could part them, pages of ids do not.
  for await (const ids of idsOf(client, partition))
    for await (const rows of pages<IdRow>(client, select, 'id', partition, ids)) yield { ids: rows.map(toIdRecord) };
}

async function* idsOf(client: pg.ClientBase, partition: number): AsyncGenerator<string[]> {
  for (let after = ''; ;) {
    const { rows } = await client.query<{ id: string }>(
      `SELECT DISTINCT id FROM id_records WHERE partition = $1 AND id > $2 AND ${KEPT_IDS} ORDER BY id LIMIT ${PAGE}`,
      [partition, after],
    );
    if (rows.length === 0) return;
    yield rows.map((row) => row.id);
    after = rows[rows.length - 1]!.id;
  }
}

function toIdRecord({ key, ref, kind, fingerprint, ...level }: IdRow): PersistedIdRecord {
  return { id: key, ref, kind, fingerprint, level: { ...itemOf(ref), ...level } };
}

/** How far before `seq` an aborted part may have been held: parts live for claim_seconds. */
const ABORT_REACH = 1_000_000;

/**
 * Units of limited items that buyers hold and have bought: from the lines counted so, and what they bought otherwise. Buyers whose
 * last counted hold was aborted after `seq` have no row any more: their zero comes from the ledger. (S8)
 */
async function* buyers(
  client: pg.ClientBase,
  partition: number,
  touched?: Touched & { seq: number },
): AsyncGenerator<PersistedState> {
  // Summed up once and kept by Postgres: as one answer it would be all buyers of the partition at once.
  await client.query(
    long(
      `DECLARE counted_units NO SCROLL CURSOR WITH HOLD FOR SELECT ref, buyer AS "buyerId", sum(units)::bigint AS units FROM (
       SELECT line.ref, buyer, CASE WHEN state IN (1, 2, 5) THEN line.quantity - line.returned ELSE 0 END AS units
       FROM holds, unnest(refs, quantities, returned, counted) AS line(ref, quantity, returned, counted)
       WHERE partition = $1 AND line.counted = 1 AND ($2::text[] IS NULL OR refs && $2)
       UNION ALL
       SELECT ref, buyer, units FROM bought_units WHERE partition = $1
       UNION ALL
       SELECT ref, coalesce(substring(detail FROM ' for:(.*)$'), actor), 0 FROM movements
       WHERE $2::text[] IS NOT NULL AND partition = $1 AND seq > $4 AND kind = 5 AND id = ANY($3::text[]) AND detail LIKE 'limited%'
     ) counted WHERE $2::text[] IS NULL OR ref = ANY($2)
     GROUP BY ref, buyer`,
      [partition, touched?.refs ?? null, touched?.holds ?? [], Math.max(0, (touched?.seq ?? 0) - ABORT_REACH)],
    ),
  );
  try {
    for (;;) {
      const { rows } = await client.query<BuyerRow>(`FETCH ${PAGE} FROM counted_units`);
      if (rows.length === 0) return;
      yield { buyers: rows };
    }
  } finally {
    await client.query('CLOSE counted_units').catch(() => undefined);
  }
}

interface BuyerRow {
  readonly ref: string;
  readonly buyerId: string;
  readonly units: number;
}

import type { QueryConfig } from 'pg';
import { numbers, texts } from '../db/arrays.js';
import type { Position } from './check.js';
import type { Collapsed } from './collapse.js';
import type { BoughtRow, IdRow, ItemRow, LateReturn, RecordRow, Transition } from './records.js';
import { reversals } from './reversals.js';
import { HOLD_COLUMNS, holdRow, MOVEMENT_COLUMNS, movementRow } from './rows.js';

/** A partition's share of a persist transaction: what is persisted, and where it stands then. */
export interface Share {
  readonly position: Position;
  readonly next: Position;
  readonly batch: Collapsed;
}

/** Rows for COPY. */
export interface CopyConfig {
  readonly copy: string;
  readonly rows: string;
}

export type Statement = QueryConfig | CopyConfig;

/**
 * Prepared under their names once a connection. Rows come as columns (UNNEST): one statement and one round trip for any number, of
 * any number of partitions.
 */
const ADVANCE = 'SELECT advance_positions($1, $2, $3, $4, $5, $6, $7)';

const STOCK = `
INSERT INTO stock AS s (partition, ref, available, reserved, sold, version, updated_at, location, sku)
SELECT *, split_part(ref, ':', 1), split_part(ref, ':', 2)
FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) AS n(p, ref, a, r, s, v, u)
ON CONFLICT (ref) DO UPDATE SET available = excluded.available, reserved = excluded.reserved, sold = excluded.sold,
  version = excluded.version, updated_at = excluded.updated_at
WHERE excluded.version > s.version`;

const SETTINGS = `
UPDATE stock s SET settings = jsonb_strip_nulls(s.settings || (n.change::jsonb - 'attributes')),
  attributes = s.attributes || coalesce(n.change::jsonb -> 'attributes', '{}')
FROM unnest($1::text[], $2::text[]) AS n(ref, change) WHERE s.ref = n.ref`;

const COPY_MOVEMENTS = `COPY movements (${MOVEMENT_COLUMNS}) FROM STDIN`;
const COPY_HOLDS = `COPY holds (${HOLD_COLUMNS}) FROM STDIN`;

const HOLDS = `
INSERT INTO holds (${HOLD_COLUMNS})
SELECT partition, id, state, deadline, fingerprint, attempt, buyer, resolved_at, held_at, string_to_array(refs, ' '),
  string_to_array(quantities, ' ')::bigint[], string_to_array(returned, ' ')::bigint[], string_to_array(counted, ' ')::smallint[]
FROM unnest($1::integer[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[],
  $10::text[], $11::text[], $12::text[], $13::text[]) AS n(${HOLD_COLUMNS})
ON CONFLICT (partition, id) DO UPDATE SET state = excluded.state, deadline = excluded.deadline, fingerprint = excluded.fingerprint,
  attempt = excluded.attempt, buyer = excluded.buyer, resolved_at = excluded.resolved_at, held_at = excluded.held_at,
  refs = excluded.refs, quantities = excluded.quantities, returned = excluded.returned, counted = excluded.counted`;

const CLAIMS = `
INSERT INTO claims (partition, id, state, deadline, fingerprint, attempt, buyer, resolved_at, opened_at, refs, quantities)
SELECT partition, id, state, deadline, fingerprint, attempt, buyer, resolved_at, opened_at, string_to_array(refs, ' '),
  string_to_array(quantities, ' ')::bigint[]
FROM unnest($1::integer[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[],
  $10::text[], $11::text[])
  AS n(partition, id, state, deadline, fingerprint, attempt, buyer, resolved_at, opened_at, refs, quantities)
ON CONFLICT (partition, id) DO UPDATE SET state = excluded.state, deadline = excluded.deadline, fingerprint = excluded.fingerprint,
  attempt = excluded.attempt, buyer = excluded.buyer, resolved_at = excluded.resolved_at, opened_at = excluded.opened_at,
  refs = excluded.refs, quantities = excluded.quantities`;

/** -1 leaves a column as it is. Every row must be met, but for those that may have been removed. */
const transitionsOf = (table: 'holds' | 'claims') => `
WITH met AS (
  UPDATE ${table} r SET
    state = CASE WHEN n.state < 0 THEN r.state ELSE n.state END,
    deadline = CASE WHEN n.deadline < 0 THEN r.deadline ELSE n.deadline END,
    attempt = CASE WHEN n.attempt < 0 THEN r.attempt ELSE n.attempt END,
    resolved_at = CASE WHEN n.resolved_at < 0 THEN r.resolved_at ELSE n.resolved_at END
  FROM unnest($1::integer[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[])
    AS n(partition, id, state, deadline, attempt, resolved_at, optional)
  WHERE r.partition = n.partition AND r.id = n.id
  RETURNING n.optional
)
SELECT expect_rows($8, (SELECT count(*) FILTER (WHERE NOT optional) FROM met), '${table}')`;

const goneOf = (table: 'holds' | 'claims') => `
DELETE FROM ${table} r USING unnest($1::integer[], $2::text[]) AS n(partition, id) WHERE r.partition = n.partition AND r.id = n.id`;

const IDS = `
INSERT INTO id_records (partition, id, ref, kind, fingerprint, available, reserved, sold, version, updated_at)
SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
  $9::bigint[], $10::bigint[])
ON CONFLICT (partition, id, ref) DO UPDATE SET kind = excluded.kind, fingerprint = excluded.fingerprint,
  available = excluded.available, reserved = excluded.reserved, sold = excluded.sold, version = excluded.version,
  updated_at = excluded.updated_at`;

const BOUGHT = `
INSERT INTO bought_units AS b (partition, ref, buyer, units)
SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::bigint[])
ON CONFLICT (partition, ref, buyer) DO UPDATE SET units = b.units + excluded.units`;

/** Who had bought them stands in the ledger only; looked up where there is somebody to give them back to. */
const LATE_RETURNS = `
WITH late AS (
  SELECT n.partition, n.ref, n.quantity, (
    SELECT coalesce(substring(m.detail FROM ' for:(.*)$'), m.actor) FROM movements m
    WHERE m.ref = n.ref AND m.id = n.id AND m.kind = 5 AND m.detail LIKE 'limited%' ORDER BY m.seq DESC LIMIT 1
  ) AS buyer
  FROM unnest($1::integer[], $2::text[], $3::text[], $4::bigint[]) AS n(partition, ref, id, quantity)
  WHERE EXISTS (SELECT 1 FROM bought_units b WHERE b.partition = n.partition AND b.ref = n.ref)
), units AS (SELECT partition, ref, buyer, sum(quantity)::bigint AS units FROM late GROUP BY partition, ref, buyer)
UPDATE bought_units b SET units = greatest(0, b.units - u.units) FROM units u
WHERE b.partition = u.partition AND b.ref = u.ref AND b.buyer = u.buyer`;

const TABLES = {
  holds: { transitions: transitionsOf('holds'), gone: goneOf('holds') },
  claims: { transitions: transitionsOf('claims'), gone: goneOf('claims') },
};

/** A row and its partition. */
type Of<R> = readonly [partition: number, row: R];

function rowsOf<R>(shares: readonly Share[], rows: (batch: Collapsed) => Iterable<R>): Of<R>[] {
  const all: Of<R>[] = [];
  for (const { position, batch } of shares) for (const row of rows(batch)) all.push([position.partition, row]);
  return all;
}

function ints<R>(rows: readonly Of<R>[], value: (row: R) => number): string {
  return numbers(rows.map(([, row]) => value(row)));
}

function strings<R>(rows: readonly Of<R>[], value: (row: R) => string): string {
  return texts(rows.map(([, row]) => value(row)));
}

function partitionsOf(rows: readonly Of<unknown>[]): string {
  return numbers(rows.map(([partition]) => partition));
}

/**
 * The statements that persist batches read at their positions, in order, between BEGIN and COMMIT.
 * @param overwrite reservations may be known under their ids already: those that Redis had forgotten and was told again
 */
export function persistStatements(shares: readonly Share[], overwrite: boolean): Statement[] {
  const statements: Statement[] = [advance(shares), movements(shares)];
  const some = <R>(rows: readonly Of<R>[], make: (rows: readonly Of<R>[]) => Statement): void => {
    if (rows.length > 0) statements.push(make(rows));
  };
  some(
    rowsOf(shares, ({ items }) => items.values()),
    stock,
  );
  const settled = shares.flatMap(({ batch }) => [...batch.settings]);
  if (settled.length > 0) statements.push(settings(settled));
  for (const table of ['holds', 'claims'] as const) {
    some(
      rowsOf(shares, (batch) => batch[table].gone),
      (rows) => gone(table, rows),
    );
    const whole = rowsOf(shares, (batch) => batch[table].whole.values());
    if (table === 'claims') some(whole, claims);
    else {
      const known = overwrite ? whole : whole.filter(([, row]) => row.loaded);
      some(known, holds);
      if (known.length < whole.length) statements.push(newHolds(whole.filter(([, row]) => !overwrite && !row.loaded)));
    }
    some(
      rowsOf(shares, (batch) => batch[table].changed.values()),
      (rows) => transitions(table, rows),
    );
  }
  some(
    rowsOf(shares, (batch) => batch.ids.values()),
    ids,
  );
  some(
    rowsOf(shares, (batch) => batch.bought.values()),
    bought,
  );
  some(
    rowsOf(shares, (batch) => batch.lateReturns),
    lateReturns,
  );
  some(
    rowsOf(shares, (batch) => batch.reversals),
    reversals,
  );
  return statements;
}

function advance(shares: readonly Share[]): QueryConfig {
  const column = (value: (share: Share) => number) => numbers(shares.map(value));
  return {
    name: 'advance',
    text: ADVANCE,
    values: [
      column(({ position }) => position.partition),
      column(({ position }) => position.fence),
      column(({ position }) => position.epoch),
      column(({ position }) => position.seq),
      column(({ next }) => next.epoch),
      column(({ next }) => next.seq),
      column(({ batch }) => batch.events[batch.events.length - 1]!.at),
    ],
  };
}

function movements(shares: readonly Share[]): CopyConfig {
  let rows = '';
  for (const { batch } of shares) for (const event of batch.events) rows += movementRow(event);
  return { copy: COPY_MOVEMENTS, rows };
}

function stock(rows: readonly Of<ItemRow>[]): QueryConfig {
  return {
    name: 'stock',
    text: STOCK,
    values: [
      partitionsOf(rows),
      strings(rows, ({ ref }) => ref),
      ints(rows, ({ available }) => available),
      ints(rows, ({ reserved }) => reserved),
      ints(rows, ({ sold }) => sold),
      ints(rows, ({ version }) => version),
      ints(rows, ({ updatedAt }) => updatedAt),
    ],
  };
}

function settings(changes: readonly [ref: string, change: Record<string, unknown>][]): QueryConfig {
  return {
    name: 'settings',
    text: SETTINGS,
    values: [texts(changes.map(([ref]) => ref)), texts(changes.map(([, change]) => JSON.stringify(change)))],
  };
}

function newHolds(rows: readonly Of<RecordRow>[]): CopyConfig {
  let lines = '';
  for (const [partition, row] of rows) lines += holdRow(partition, row);
  return { copy: COPY_HOLDS, rows: lines };
}

function recordColumns(rows: readonly Of<RecordRow>[]): string[] {
  return [
    partitionsOf(rows),
    strings(rows, ({ id }) => id),
    ints(rows, ({ state }) => state),
    ints(rows, ({ deadline }) => deadline),
    ints(rows, ({ fingerprint }) => fingerprint),
    ints(rows, ({ attempt }) => attempt),
    strings(rows, ({ buyer }) => buyer),
    ints(rows, ({ resolvedAt }) => resolvedAt),
    ints(rows, ({ startedAt }) => startedAt),
    // Refs hold no blanks (protocol.md), so lists go as one text a row and are split there.
    strings(rows, ({ refs }) => refs.join(' ')),
    strings(rows, ({ quantities }) => quantities.join(' ')),
  ];
}

function holds(rows: readonly Of<RecordRow>[]): QueryConfig {
  const returned = strings(rows, (row) => row.returned.join(' '));
  const counted = strings(rows, (row) => row.counted.join(' '));
  return { name: 'holds', text: HOLDS, values: [...recordColumns(rows), returned, counted] };
}

function claims(rows: readonly Of<RecordRow>[]): QueryConfig {
  return { name: 'claims', text: CLAIMS, values: recordColumns(rows) };
}

function gone(table: 'holds' | 'claims', rows: readonly Of<string>[]): QueryConfig {
  return {
    name: `gone_${table}`,
    text: TABLES[table].gone,
    values: [partitionsOf(rows), strings(rows, (id) => id)],
  };
}

function transitions(table: 'holds' | 'claims', rows: readonly Of<Transition>[]): QueryConfig {
  return {
    name: `changed_${table}`,
    text: TABLES[table].transitions,
    values: [
      partitionsOf(rows),
      strings(rows, ({ id }) => id),
      ints(rows, ({ state }) => state ?? -1),
      ints(rows, ({ deadline }) => deadline ?? -1),
      ints(rows, ({ attempt }) => attempt ?? -1),
      ints(rows, ({ resolvedAt }) => resolvedAt ?? -1),
      `{${rows.map(([, { optional }]) => (optional ? 't' : 'f')).join(',')}}`,
      rows.filter(([, { optional }]) => !optional).length,
    ],
  };
}

function ids(rows: readonly Of<IdRow>[]): QueryConfig {
  return {
    name: 'ids',
    text: IDS,
    values: [
      partitionsOf(rows),
      strings(rows, ({ id }) => id),
      strings(rows, ({ ref }) => ref),
      ints(rows, ({ kind }) => kind),
      ints(rows, ({ fingerprint }) => fingerprint),
      ints(rows, ({ available }) => available),
      ints(rows, ({ reserved }) => reserved),
      ints(rows, ({ sold }) => sold),
      ints(rows, ({ version }) => version),
      ints(rows, ({ updatedAt }) => updatedAt),
    ],
  };
}

function bought(rows: readonly Of<BoughtRow>[]): QueryConfig {
  return {
    name: 'bought',
    text: BOUGHT,
    values: [
      partitionsOf(rows),
      strings(rows, ({ ref }) => ref),
      strings(rows, ({ buyer }) => buyer),
      ints(rows, ({ units }) => units),
    ],
  };
}

function lateReturns(rows: readonly Of<LateReturn>[]): QueryConfig {
  return {
    name: 'late_returns',
    text: LATE_RETURNS,
    values: [
      partitionsOf(rows),
      strings(rows, ({ ref }) => ref),
      strings(rows, ({ id }) => id),
      ints(rows, ({ quantity }) => quantity),
    ],
  };
}

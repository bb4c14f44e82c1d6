import type { QueryConfig } from 'pg';
import { numbers, texts } from '../db/arrays.js';
import { hashes } from './chain.js';
import type { Position } from './check.js';
import type { Collapsed } from './collapse.js';
import { type CopyConfig, ints, type Of, partitionsOf, type Statement, strings } from './columns.js';
import { claims, gone, holds, newHolds, transitions } from './record-statements.js';
import type { BoughtRow, IdRow, ItemRow, LateReturn } from './records.js';
import { reversals } from './reversals.js';
import { MOVEMENT_COLUMNS } from './rows.js';

/** A partition's share of a persist transaction: what is persisted, and where it stands then. */
export interface Share {
  readonly position: Position;
  readonly next: Position;
  readonly batch: Collapsed;
  /** Its events as rows of the ledger. */
  readonly rows: string;
}

/**
 * Prepared under their names once a connection. Rows come as columns (UNNEST): one statement and one round trip for any number, of
 * any number of partitions.
 */
const ADVANCE = 'SELECT advance_positions($1, $2, $3, $4, $5, $6, $7, $8)';

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

function rowsOf<R>(shares: readonly Share[], rows: (batch: Collapsed) => Iterable<R>): Of<R>[] {
  const all: Of<R>[] = [];
  for (const { position, batch } of shares) for (const row of rows(batch)) all.push([position.partition, row]);
  return all;
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
      hashes(shares.map(({ next }) => next.link)),
    ],
  };
}

function movements(shares: readonly Share[]): CopyConfig {
  return { copy: COPY_MOVEMENTS, rows: shares.map(({ rows }) => rows).join('') };
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

import type { QueryConfig } from 'pg';
import { numbers, texts } from '../db/arrays.js';
import { type Position } from './check.js';
import type { Collapsed, RecordRow, Transition } from './collapse.js';
import { reversals } from './reversals.js';

/** Prepared under their names once a connection. Rows come as columns (UNNEST): one statement and one round trip for any number. */
const ADVANCE = 'SELECT advance_position($1, $2, $3, $4, $5, $6, $7)';

const MOVEMENTS = `
INSERT INTO movements (partition, seq, epoch, at, kind, ref, id, quantity, actor, detail,
  available, reserved, sold, version, deadline, fingerprint, attempt)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[], $6::text[], $7::text[], $8::bigint[], $9::text[],
  $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[])`;

const STOCK = `
INSERT INTO stock AS s (partition, ref, available, reserved, sold, version, updated_at, location, sku)
SELECT $1, *, split_part(ref, ':', 1), split_part(ref, ':', 2)
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) AS n(ref, a, r, s, v, u)
ON CONFLICT (ref) DO UPDATE SET available = excluded.available, reserved = excluded.reserved, sold = excluded.sold,
  version = excluded.version, updated_at = excluded.updated_at
WHERE excluded.version > s.version`;

const SETTINGS = `
UPDATE stock s SET settings = jsonb_strip_nulls(s.settings || (n.change::jsonb - 'attributes')),
  attributes = s.attributes || coalesce(n.change::jsonb -> 'attributes', '{}')
FROM unnest($1::text[], $2::text[]) AS n(ref, change) WHERE s.ref = n.ref`;

const HOLDS = `
INSERT INTO holds (partition, id, state, deadline, fingerprint, attempt, buyer, resolved_at, held_at, refs, quantities, returned, counted)
SELECT $1, id, state, deadline, fingerprint, attempt, buyer, resolved_at, held_at, string_to_array(refs, ' '),
  string_to_array(quantities, ' ')::bigint[], string_to_array(returned, ' ')::bigint[], string_to_array(counted, ' ')::smallint[]
FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::text[],
  $11::text[], $12::text[], $13::text[])
  AS n(id, state, deadline, fingerprint, attempt, buyer, resolved_at, held_at, refs, quantities, returned, counted)
ON CONFLICT (partition, id) DO UPDATE SET state = excluded.state, deadline = excluded.deadline, fingerprint = excluded.fingerprint,
  attempt = excluded.attempt, buyer = excluded.buyer, resolved_at = excluded.resolved_at, held_at = excluded.held_at,
  refs = excluded.refs, quantities = excluded.quantities, returned = excluded.returned, counted = excluded.counted`;

const CLAIMS = `
INSERT INTO claims (partition, id, state, deadline, fingerprint, attempt, buyer, resolved_at, opened_at, refs, quantities)
SELECT $1, id, state, deadline, fingerprint, attempt, buyer, resolved_at, opened_at, string_to_array(refs, ' '),
  string_to_array(quantities, ' ')::bigint[]
FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::text[],
  $11::text[]) AS n(id, state, deadline, fingerprint, attempt, buyer, resolved_at, opened_at, refs, quantities)
ON CONFLICT (partition, id) DO UPDATE SET state = excluded.state, deadline = excluded.deadline, fingerprint = excluded.fingerprint,
  attempt = excluded.attempt, buyer = excluded.buyer, resolved_at = excluded.resolved_at, opened_at = excluded.opened_at,
  refs = excluded.refs, quantities = excluded.quantities`;

/** -1 leaves a column as it is. Every row must be met. */
const transitionsOf = (table: 'holds' | 'claims') => `
WITH met AS (
  UPDATE ${table} r SET
    state = CASE WHEN n.state < 0 THEN r.state ELSE n.state END,
    deadline = CASE WHEN n.deadline < 0 THEN r.deadline ELSE n.deadline END,
    attempt = CASE WHEN n.attempt < 0 THEN r.attempt ELSE n.attempt END,
    resolved_at = CASE WHEN n.resolved_at < 0 THEN r.resolved_at ELSE n.resolved_at END
  FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[]) AS n(id, state, deadline, attempt, resolved_at)
  WHERE r.partition = $1 AND r.id = n.id
  RETURNING 1
)
SELECT expect_rows($7, (SELECT count(*) FROM met), '${table}')`;

const goneOf = (table: 'holds' | 'claims') => `DELETE FROM ${table} WHERE partition = $1 AND id = ANY($2::text[])`;

const IDS = `
INSERT INTO id_records (partition, id, ref, kind, fingerprint, available, reserved, sold, version, updated_at)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
  $10::bigint[])
ON CONFLICT (partition, id, ref) DO UPDATE SET kind = excluded.kind, fingerprint = excluded.fingerprint,
  available = excluded.available, reserved = excluded.reserved, sold = excluded.sold, version = excluded.version,
  updated_at = excluded.updated_at`;

const BOUGHT = `
INSERT INTO bought_units AS b (partition, ref, buyer, units) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[])
ON CONFLICT (partition, ref, buyer) DO UPDATE SET units = b.units + excluded.units`;

const TABLES = {
  holds: { transitions: transitionsOf('holds'), gone: goneOf('holds') },
  claims: { transitions: transitionsOf('claims'), gone: goneOf('claims') },
};

/** The statements that persist a batch read at `position`, in order, between BEGIN and COMMIT. */
export function persistStatements(position: Position, batch: Collapsed): QueryConfig[] {
  const { partition } = position;
  const last = batch.events[batch.events.length - 1]!;
  const statements: QueryConfig[] = [
    {
      name: 'advance',
      text: ADVANCE,
      values: [partition, position.fence, position.epoch, position.seq, last.epoch, last.seq, last.at],
    },
    movements(partition, batch),
  ];
  if (batch.items.size > 0) statements.push(stock(partition, batch));
  if (batch.settings.size > 0) statements.push(settings(batch));
  for (const table of ['holds', 'claims'] as const) {
    const { whole, changed, gone } = batch[table];
    if (gone.size > 0) {
      statements.push({ name: `gone_${table}`, text: TABLES[table].gone, values: [partition, texts([...gone])] });
    }
    if (whole.size > 0) {
      const rows = [...whole.values()];
      statements.push(table === 'holds' ? holds(partition, rows) : claims(partition, rows));
    }
    if (changed.size > 0) statements.push(transitions(table, partition, [...changed.values()]));
  }
  if (batch.ids.size > 0) statements.push(ids(partition, batch));
  if (batch.bought.size > 0) statements.push(bought(partition, batch));
  if (batch.reversals.length > 0) statements.push(reversals(partition, batch.reversals));
  return statements;
}

function movements(partition: number, { events }: Collapsed): QueryConfig {
  const n = (field: 'seq' | 'epoch' | 'at' | 'kind' | 'quantity') => numbers(events.map((event) => event[field]));
  return {
    name: 'movements',
    text: MOVEMENTS,
    values: [
      partition,
      n('seq'),
      n('epoch'),
      n('at'),
      n('kind'),
      texts(events.map((event) => event.ref)),
      texts(events.map((event) => event.id)),
      n('quantity'),
      texts(events.map((event) => event.actor)),
      texts(events.map((event) => event.detail)),
      numbers(events.map((event) => event.available)),
      numbers(events.map((event) => event.reserved)),
      numbers(events.map((event) => event.sold)),
      numbers(events.map((event) => event.version)),
      numbers(events.map((event) => event.deadline)),
      numbers(events.map((event) => event.fingerprint)),
      numbers(events.map((event) => event.attempt)),
    ],
  };
}

function stock(partition: number, batch: Collapsed): QueryConfig {
  const rows = [...batch.items.values()];
  return {
    name: 'stock',
    text: STOCK,
    values: [
      partition,
      texts(rows.map((row) => row.ref)),
      numbers(rows.map((row) => row.available)),
      numbers(rows.map((row) => row.reserved)),
      numbers(rows.map((row) => row.sold)),
      numbers(rows.map((row) => row.version)),
      numbers(rows.map((row) => row.updatedAt)),
    ],
  };
}

function settings(batch: Collapsed): QueryConfig {
  return {
    name: 'settings',
    text: SETTINGS,
    values: [
      texts([...batch.settings.keys()]),
      texts([...batch.settings.values()].map((change) => JSON.stringify(change))),
    ],
  };
}

function recordColumns(rows: readonly RecordRow[]): string[] {
  return [
    texts(rows.map((row) => row.id)),
    numbers(rows.map((row) => row.state)),
    numbers(rows.map((row) => row.deadline)),
    numbers(rows.map((row) => row.fingerprint)),
    numbers(rows.map((row) => row.attempt)),
    texts(rows.map((row) => row.buyer)),
    numbers(rows.map((row) => row.resolvedAt)),
    numbers(rows.map((row) => row.startedAt)),
    // Refs hold no blanks (protocol.md), so lists go as one text a row and are split there.
    texts(rows.map((row) => row.refs.join(' '))),
    texts(rows.map((row) => row.quantities.join(' '))),
  ];
}

function holds(partition: number, rows: readonly RecordRow[]): QueryConfig {
  const returned = texts(rows.map((row) => row.returned.join(' ')));
  const counted = texts(rows.map((row) => row.counted.join(' ')));
  return { name: 'holds', text: HOLDS, values: [partition, ...recordColumns(rows), returned, counted] };
}

function claims(partition: number, rows: readonly RecordRow[]): QueryConfig {
  return { name: 'claims', text: CLAIMS, values: [partition, ...recordColumns(rows)] };
}

function transitions(table: 'holds' | 'claims', partition: number, rows: readonly Transition[]): QueryConfig {
  return {
    name: `changed_${table}`,
    text: TABLES[table].transitions,
    values: [
      partition,
      texts(rows.map((row) => row.id)),
      numbers(rows.map((row) => row.state ?? -1)),
      numbers(rows.map((row) => row.deadline ?? -1)),
      numbers(rows.map((row) => row.attempt ?? -1)),
      numbers(rows.map((row) => row.resolvedAt ?? -1)),
      rows.length,
    ],
  };
}

function ids(partition: number, batch: Collapsed): QueryConfig {
  const rows = [...batch.ids.values()];
  return {
    name: 'ids',
    text: IDS,
    values: [
      partition,
      texts(rows.map((row) => row.id)),
      texts(rows.map((row) => row.ref)),
      numbers(rows.map((row) => row.kind)),
      numbers(rows.map((row) => row.fingerprint)),
      numbers(rows.map((row) => row.available)),
      numbers(rows.map((row) => row.reserved)),
      numbers(rows.map((row) => row.sold)),
      numbers(rows.map((row) => row.version)),
      numbers(rows.map((row) => row.updatedAt)),
    ],
  };
}

function bought(partition: number, batch: Collapsed): QueryConfig {
  const rows = [...batch.bought.values()];
  return {
    name: 'bought',
    text: BOUGHT,
    values: [
      partition,
      texts(rows.map((row) => row.ref)),
      texts(rows.map((row) => row.buyer)),
      numbers(rows.map((row) => row.units)),
    ],
  };
}

/** Statements about the records of holds and claims. */
import type { QueryConfig } from 'pg';
import { type CopyConfig, ints, type Of, partitionsOf, strings } from './columns.js';
import type { RecordRow, Transition } from './records.js';
import { HOLD_COLUMNS, holdRow } from './rows.js';

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

const TABLES = {
  holds: { transitions: transitionsOf('holds'), gone: goneOf('holds') },
  claims: { transitions: transitionsOf('claims'), gone: goneOf('claims') },
};

export function newHolds(rows: readonly Of<RecordRow>[]): CopyConfig {
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

export function holds(rows: readonly Of<RecordRow>[]): QueryConfig {
  const returned = strings(rows, (row) => row.returned.join(' '));
  const counted = strings(rows, (row) => row.counted.join(' '));
  return { name: 'holds', text: HOLDS, values: [...recordColumns(rows), returned, counted] };
}

export function claims(rows: readonly Of<RecordRow>[]): QueryConfig {
  return { name: 'claims', text: CLAIMS, values: recordColumns(rows) };
}

export function gone(table: 'holds' | 'claims', rows: readonly Of<string>[]): QueryConfig {
  return {
    name: `gone_${table}`,
    text: TABLES[table].gone,
    values: [partitionsOf(rows), strings(rows, (id) => id)],
  };
}

export function transitions(table: 'holds' | 'claims', rows: readonly Of<Transition>[]): QueryConfig {
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

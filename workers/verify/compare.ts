import type { HoldRecord, StockItem } from '../../engine/types.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import type { Table } from './digest.js';
import type { PersistedItem, PersistedRows } from './persisted.js';

/** Records of a partition as Redis has them, by ref or id. */
export interface LiveRecords {
  readonly items: Map<string, StockItem>;
  readonly holds: Map<string, HoldRecord>;
  readonly claims: Map<string, HoldRecord>;
}

/** How Redis and Postgres differ about a record. */
export interface Difference {
  readonly table: Table;
  /** Ref or id. */
  readonly key: string;
  readonly detail: string;
}

/** By subject. */
export type Differences = Map<string, Difference>;

export interface Comparison {
  /** Counts of items, by ref. A busy item differs nearly always: the ledger decides (see `verify.ts`). */
  readonly counts: Differences;
  /** Settings, reservations and claims: these settle, so that reading again decides. */
  readonly others: Differences;
}

/** Compares records as both have them. `now`: ms, for those that Redis may have forgotten by then. */
export function compare(live: LiveRecords, persisted: PersistedRows, now: number): Comparison {
  const counts: Differences = new Map();
  const others: Differences = new Map();
  const note = (differences: Differences, subject: string, table: Table, key: string, detail: string | undefined) => {
    if (detail) differences.set(subject, { table, key, detail });
  };
  for (const ref of union(live.items, persisted.items)) {
    const [a, b] = [live.items.get(ref), persisted.items.get(ref)];
    note(counts, ref, 'items', ref, countDifference(a, b));
    if (a && b) note(others, `settings of ${ref}`, 'items', ref, settingsDifference(a, b));
  }
  for (const table of ['holds', 'claims'] as const) {
    const name = table === 'holds' ? 'reservation' : 'claim';
    for (const id of union(live[table], persisted[table])) {
      const difference = recordDifference(live[table].get(id), persisted[table].get(id), now);
      note(others, `${name} ${id}`, table, id, difference);
    }
  }
  return { counts, others };
}

function union(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): Set<string> {
  return new Set([...a.keys(), ...b.keys()]);
}

function countDifference(live: StockItem | undefined, persisted: PersistedItem | undefined): string | undefined {
  if (!live) return 'is in Postgres and not in Redis';
  if (!persisted) return 'is in Redis and not in Postgres';
  return fieldDifferences(live, persisted, ['available', 'reserved', 'sold', 'version', 'updatedAt']);
}

function settingsDifference(live: StockItem, persisted: PersistedItem): string | undefined {
  const [a, b] = [sorted(live.settings), sorted(persisted.settings)];
  return a === b ? undefined : `${a} in Redis, ${b} in Postgres`;
}

function fieldDifferences<F extends string>(
  live: { readonly [K in F]: string | number },
  persisted: { readonly [K in F]: string | number },
  fields: readonly F[],
): string | undefined {
  const different = fields.filter((field) => live[field] !== persisted[field]);
  if (different.length === 0) return undefined;
  return different.map((field) => `${field} ${live[field]} in Redis, ${persisted[field]} in Postgres`).join('; ');
}

function sorted(settings: object): string {
  return JSON.stringify(Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1))));
}

function recordDifference(
  live: HoldRecord | undefined,
  persisted: HoldRecord | undefined,
  now: number,
): string | undefined {
  if (!persisted) return live && mayBeRemoved(live, now) ? undefined : 'is in Redis and not in Postgres';
  if (!live) return mayBeForgotten(persisted, now) ? undefined : 'is in Postgres and not in Redis';
  const fields = ['state', 'deadline', 'attempt', 'fingerprint', 'buyerId', 'resolvedAt'] as const;
  const difference = fieldDifferences(live, persisted, fields);
  const [a, b] = [lineText(live), lineText(persisted)];
  const lines = a === b ? undefined : `lines ${a} in Redis, ${b} in Postgres`;
  return difference && lines ? `${difference}; ${lines}` : (difference ?? lines);
}

function lineText({ lines }: HoldRecord): string {
  return lines
    .map((line) => `${line.location}:${line.sku}×${line.quantity}-${line.returned}${line.counted ? ' limited' : ''}`)
    .join(', ');
}

/** Clocks differ: what is about to be forgotten may be gone already. */
export const CLOCK_MS = 60_000;
/** How long Redis remembers ended records: sold ones (also when they were returned), others. */
export const KEPT_MS = { sold: limits.return_window_seconds * 1_000, ended: limits.retention_seconds * 1_000 } as const;

/** Redis forgets ended records after their retention; Postgres keeps them longer. */
export function mayBeForgotten({ state, resolvedAt }: HoldRecord, now: number): boolean {
  if (resolvedAt === 0 || state === 'held' || state === 'pending') return false;
  const kept = state === 'confirmed' || state === 'returned' ? KEPT_MS.sold : KEPT_MS.ended;
  return resolvedAt + kept - CLOCK_MS <= now;
}

/**
 * Postgres removes records that Redis should have forgotten; where the sweep has not come by, Redis still has them and may even have
 * taken units back, which makes them young again. Their deadline does not change.
 */
function mayBeRemoved(record: HoldRecord, now: number): boolean {
  if (record.state !== 'confirmed' && record.state !== 'returned') return false;
  return record.deadline + KEPT_MS.sold <= now;
}

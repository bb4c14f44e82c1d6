import type { HoldRecord, StockItem } from '../../engine/types.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import type { PersistedItem, PersistedPartition } from './ledger.js';

/** Everything a partition holds in Redis. */
export interface LivePartition {
  readonly items: Map<string, StockItem>;
  readonly holds: Map<string, HoldRecord>;
  readonly claims: Map<string, HoldRecord>;
  /** Nothing changed while it was read. */
  readonly quiet: boolean;
}

/** Subject → how Redis and Postgres differ about it. */
export type Differences = Map<string, string>;

export interface Comparison {
  /** Counts of items, by ref. A busy item differs nearly always: the ledger decides (see `verify.ts`). */
  readonly counts: Differences;
  /** Settings, reservations and claims: these settle, so that reading again decides. */
  readonly others: Differences;
}

/** Compares a partition as both have it. `now`: ms, for records that Redis may have forgotten by then. */
export function compare(live: LivePartition, persisted: PersistedPartition, now: number): Comparison {
  const counts: Differences = new Map();
  const others: Differences = new Map();
  const note = (differences: Differences, subject: string, difference: string | undefined) => {
    if (difference) differences.set(subject, difference);
  };
  for (const ref of union(live.items, persisted.items)) {
    const [a, b] = [live.items.get(ref), persisted.items.get(ref)];
    note(counts, ref, countDifference(a, b));
    if (a && b) note(others, `settings of ${ref}`, settingsDifference(a, b));
  }
  for (const table of ['holds', 'claims'] as const) {
    const name = table === 'holds' ? 'reservation' : 'claim';
    for (const id of union(live[table], persisted[table])) {
      note(others, `${name} ${id}`, recordDifference(live[table].get(id), persisted[table].get(id), now));
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
const CLOCK_MS = 60_000;

/** Redis forgets ended records after their retention; Postgres keeps them longer. */
function mayBeForgotten(record: HoldRecord, now: number): boolean {
  if (record.resolvedAt === 0) return false;
  const long = record.state === 'confirmed' || record.state === 'returned';
  const seconds = long ? limits.return_window_seconds : limits.retention_seconds;
  return record.resolvedAt + seconds * 1_000 - CLOCK_MS <= now;
}

/**
 * Postgres removes records that Redis should have forgotten; where the sweep has not come by, Redis still has them and may even have
 * taken units back, which makes them young again. Their deadline does not change.
 */
function mayBeRemoved(record: HoldRecord, now: number): boolean {
  if (record.state !== 'confirmed' && record.state !== 'returned') return false;
  return record.deadline + limits.return_window_seconds * 1_000 <= now;
}

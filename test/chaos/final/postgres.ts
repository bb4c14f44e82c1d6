/** Reads what the run left in Postgres: ledger, projections, positions. */
import type { World } from '../world.js';
import { type FinalHold, type FinalPostgres, keyOf, type Movement, type Reversal } from './types.js';

type Row = Record<string, unknown>;

const numbers = <K extends string>(row: Row, ...names: K[]): Record<K, number> =>
  Object.fromEntries(names.map((name) => [name, Number(row[name])])) as Record<K, number>;

export async function readPostgres(world: World): Promise<FinalPostgres> {
  const [movements, positions, stock, holds, claims, ids, quarantine] = await Promise.all([
    world.query('select * from movements order by partition, seq, epoch, at'),
    world.query('select * from positions'),
    world.query('select * from stock'),
    world.query('select * from holds'),
    world.query('select * from claims'),
    world.query('select * from id_records'),
    world.query('select partition, reason from quarantine'),
  ]);
  return {
    movements: movements.map(movementOf),
    positions: new Map(
      positions.map((row) => {
        const { partition, epoch, opened_after, log_epoch, seq } = numbers(
          row,
          'partition',
          'epoch',
          'opened_after',
          'log_epoch',
          'seq',
        );
        return [partition, { epoch, openedAfter: opened_after, logEpoch: log_epoch, seq }];
      }),
    ),
    items: new Map(
      stock.map((row) => {
        const { buyerLimit } = row.settings as { buyerLimit?: number };
        const level = numbers(row, 'available', 'reserved', 'sold', 'version');
        return [String(row.ref), buyerLimit === undefined ? level : { ...level, buyerLimit }];
      }),
    ),
    holds: new Map(holds.map((row) => [keyOf(Number(row.partition), String(row.id)), holdOf(row)])),
    claims: new Map(claims.map((row) => [keyOf(Number(row.partition), String(row.id)), holdOf(row)])),
    ids: new Map(
      ids.map((row) => [
        `${String(row.id)}:${String(row.ref)}`,
        numbers(row, 'kind', 'available', 'reserved', 'sold', 'version'),
      ]),
    ),
    quarantine: quarantine.map((row) => ({ partition: Number(row.partition), reason: String(row.reason) })),
    reversals: await readReversals(world),
  };
}

function movementOf(row: Row): Movement {
  return {
    ...numbers(row, 'partition', 'epoch', 'seq', 'at', 'kind', 'quantity', 'deadline', 'attempt'),
    ...numbers(row, 'available', 'reserved', 'sold', 'version'),
    ref: String(row.ref),
    id: String(row.id),
    actor: String(row.actor),
    detail: String(row.detail),
  };
}

function holdOf(row: Row): FinalHold {
  const list = (name: string): unknown[] => (row[name] as unknown[] | undefined) ?? [];
  const lines = list('refs').map((ref, n) => ({
    ref: String(ref),
    quantity: Number(list('quantities')[n]),
    returned: Number(list('returned')[n] ?? 0),
    counted: Number(list('counted')[n] ?? 0) === 1,
  }));
  return { ...numbers(row, 'state', 'deadline', 'attempt'), buyer: String(row.buyer), lines };
}

/** Installations before reversal records have no such table. */
async function readReversals(world: World): Promise<Reversal[] | undefined> {
  const [found] = await world.query("select to_regclass('reversals') is not null as there");
  if (found?.there !== true) return undefined;
  const rows = await world.query('select * from reversals');
  return rows.map((row) => ({
    ...numbers(row, 'partition', 'kind'),
    lostEpoch: Number(row.lost_epoch),
    lostSeq: Number(row.lost_seq),
    id: String(row.id),
    ref: String(row.ref),
  }));
}

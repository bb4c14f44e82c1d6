import type pg from 'pg';
import type { HoldRecord } from '../../engine/types.js';
import { KIND } from '../kinds.js';
import { checkChain, type ChainHead } from './chain.js';
import type { Position } from './persisted.js';
import type { Problems } from './problems.js';

/** What Postgres is to be checked for against itself. */
export interface SelfCheck {
  readonly problems: Problems;
  /** Links of the ledger's chain that were right before, by partition: they must still be there. Brought up to date. */
  readonly heads: Map<number, ChainHead>;
  /** Also check again what those links stand for. */
  readonly wholeChain: boolean;
}

/**
 * Checks that what Postgres has of a partition agrees with itself: the ledger gapless, without doubles and as it was written, its sums
 * those of the projections; {@link checkHeld} does the rest. (S6, S7; checks 1, 2 and 6 of the history)
 * @returns how many movements there are
 */
export async function checkItself(
  client: pg.ClientBase,
  partition: number,
  position: Position,
  { problems, heads, wholeChain }: SelfCheck,
): Promise<number> {
  const { first, count } = await checkLedger(client, partition, position, problems);
  const { head, broken } = await checkChain(client, partition, first, position.seq, heads.get(partition), wholeChain);
  heads.set(partition, head);
  if (broken !== undefined) problems.add(partition, 'ledger chain', broken);
  await checkSums(client, partition, problems);
  return count;
}

/** @returns the number of the first movement, 0 where there is none, and how many there are */
async function checkLedger(
  client: pg.ClientBase,
  partition: number,
  { seq }: Position,
  problems: Problems,
): Promise<{ first: number; count: number }> {
  const { rows } = await client.query<{
    count: number;
    different: number;
    first: number;
    last: number;
    back: number;
    negative: number;
  }>(
    `SELECT count(*)::int8 AS count, count(DISTINCT seq)::int8 AS different, coalesce(min(seq), 0) AS first, coalesce(max(seq), 0) AS last,
       count(*) FILTER (WHERE epoch < before)::int8 AS back,
       count(*) FILTER (WHERE available < 0 OR reserved < 0 OR sold < 0)::int8 AS negative
     FROM (SELECT seq, epoch, available, reserved, sold, lag(epoch) OVER (ORDER BY seq) AS before FROM movements WHERE partition = $1) m`,
    [partition],
  );
  const { count, different, first, last, back, negative } = rows[0]!;
  const say = (detail: string) => problems.add(partition, 'ledger', detail);
  if (count !== different) say(`${count - different} movements stand in it twice`);
  if (count > 0 && first !== 1) say(`it begins with number ${first}, not 1`);
  if (different !== last - first + 1 && count > 0)
    say(`${last - first + 1 - different} numbers between ${first} and ${last} are missing`);
  if (last !== seq) say(`its last number is ${last}, the position says ${seq}`);
  if (back > 0) say(`the epoch goes back at ${back} places`);
  if (negative > 0) say(`${negative} movements leave a negative count`);
  return { first, count };
}

const sum = (...kinds: (keyof typeof KIND)[]) =>
  `coalesce(sum(quantity) FILTER (WHERE kind IN (${kinds.map((kind) => KIND[kind]).join(', ')})), 0)::int8`;

/** Items whose movements do not make what `stock` says. */
const SUMS = `SELECT coalesce(m.ref, s.ref) AS ref, m.ref IS NOT NULL AS moved, s.ref IS NOT NULL AS stocked,
  m.total, m.reserved, m.sold, m.version, s.total AS "stockTotal", s.reserved AS "stockReserved", s.sold AS "stockSold", s.version AS "stockVersion"
FROM (SELECT ref COLLATE "C" AS ref, ${sum('restocked', 'adjusted')} AS total,
    ${sum('held')} - ${sum('confirmed', 'released', 'expired', 'aborted')} AS reserved,
    ${sum('confirmed', 'deducted')} - ${sum('returned')} AS sold, max(version) AS version
  FROM movements WHERE partition = $1 AND version > 0 GROUP BY 1) m
FULL JOIN (SELECT ref, available + reserved + sold AS total, reserved, sold, version FROM stock WHERE partition = $1) s ON s.ref = m.ref
WHERE (m.total, m.reserved, m.sold, m.version) IS DISTINCT FROM (s.total, s.reserved, s.sold, s.version) ORDER BY 1`;

interface Sums {
  readonly ref: string;
  readonly moved: boolean;
  readonly stocked: boolean;
  readonly total: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
  readonly stockTotal: number;
  readonly stockReserved: number;
  readonly stockSold: number;
  readonly stockVersion: number;
}

/** The sums of an item's movements: what came in is where it is now, and it went there by movements. */
async function checkSums(client: pg.ClientBase, partition: number, problems: Problems): Promise<void> {
  const { rows } = await client.query<Sums>(SUMS, [partition]);
  for (const row of rows) {
    const say = (what: string, movements: number, stock: number) => {
      if (movements !== stock)
        problems.add(partition, row.ref, `${what}: movements make ${movements}, stock says ${stock}`);
    };
    if (!row.stocked) problems.add(partition, row.ref, 'stands in the ledger and not in stock');
    else if (!row.moved) problems.add(partition, row.ref, 'stands in stock and not in the ledger');
    else {
      say('total', row.total, row.stockTotal);
      say('reserved', row.reserved, row.stockReserved);
      say('sold', row.sold, row.stockSold);
      say('version', row.version, row.stockVersion);
    }
  }
}

/** @param items and `holds`: all that Postgres has, of one moment */
export function checkHeld(
  partition: number,
  items: Iterable<[ref: string, item: { readonly reserved: number }]>,
  holds: Iterable<HoldRecord>,
  problems: Problems,
): void {
  const held = heldUnits(holds);
  for (const [ref, { reserved }] of items) {
    const units = held.get(ref) ?? 0;
    if (units !== reserved)
      problems.add(partition, ref, `holds make ${units} reserved units, stock says ${reserved} (Postgres)`);
  }
}

/** Units held, by item. */
export function heldUnits(holds: Iterable<HoldRecord>): Map<string, number> {
  const units = new Map<string, number>();
  for (const hold of holds) {
    if (hold.state !== 'held') continue;
    for (const line of hold.lines) {
      const ref = `${line.location}:${line.sku}`;
      units.set(ref, (units.get(ref) ?? 0) + line.quantity);
    }
  }
  return units;
}

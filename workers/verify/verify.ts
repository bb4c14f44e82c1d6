import type pg from 'pg';
import type { PartitionsApi, PartitionStatus, StockItem } from '../../engine/types.js';
import { chainEnds, type ChainHead } from './chain.js';
import type { Difference, Differences } from './compare.js';
import { heldUnits } from './ledger.js';
import { type LivePartition, type Look, lookAgain, lookAt, readLive, statusOf } from './look.js';
import { checkParts } from './parts.js';
import { Problems, type VerifyReport } from './problems.js';

export interface VerifyOptions {
  readonly partitions: PartitionsApi;
  readonly pool: pg.Pool;
  /** How long what differs may take to agree altogether, ms: sales go on meanwhile and Postgres follows a little later. */
  readonly waitMs?: number;
  /** Links of the ledger's chain that were right before, by partition: they must still be there. Brought up to date. */
  readonly heads?: Map<number, ChainHead>;
  /** Default true: also check again what those links stand for. */
  readonly wholeChain?: boolean;
  /** Called after each partition. */
  readonly onProgress?: (done: number, total: number) => void;
}

const WAIT_MS = 30_000;
const LEAST_WAIT_MS = 1_000;
/** However long reading takes: what differed once while sales went on is read again so often before it counts. */
const LEAST_LOOKS = 3;
const PAUSE_MS = 150;

/**
 * Compares Redis with Postgres, item by item and reservation by reservation, and Postgres with itself. It may run while sales go on:
 * what differs is read again until it has agreed once, or until `waitMs` is over. Changes nothing.
 */
export async function verify(given: VerifyOptions): Promise<VerifyReport> {
  const heads = given.heads ?? new Map<number, ChainHead>();
  const options = { ...given, heads };
  const started = performance.now();
  const problems = new Problems();
  const counted = {
    partitions: 0,
    items: 0,
    holds: 0,
    claims: 0,
    movements: 0,
    rows: 0,
    reversals: await countReversals(options.pool),
  };
  const { partitions, pool } = options;
  const halted = await checkQuarantine(pool, problems);
  const waitMs = options.waitMs ?? WAIT_MS;
  const budget = Date.now() + waitMs;
  const reachable = await checkStatus(partitions, problems);
  for (let partition = 0; partition < partitions.count; partition++) {
    if (reachable.has(partition)) {
      // What has halted will not agree by waiting; of many partitions that lag, each still gets a moment.
      const until = halted.has(partition) ? 0 : Math.max(budget, Date.now() + Math.min(waitMs, LEAST_WAIT_MS));
      const found = await verifyPartition(options, partition, until, problems);
      counted.partitions++;
      counted.rows += found.rows;
      for (const key of ['items', 'holds', 'claims', 'movements'] as const) counted[key] += found.counted[key];
    }
    options.onProgress?.(partition + 1, partitions.count);
  }
  await checkParts(pool, partitions.count, Math.max(budget, Date.now() + Math.min(waitMs, LEAST_WAIT_MS)), problems);
  const ok = problems.list.length === 0;
  const chain = chainEnds(heads);
  const seconds = (performance.now() - started) / 1_000;
  return { ok, problems: problems.list, more: problems.more, counted, chain, seconds };
}

/**
 * One partition alone, for those who look all the time.
 * @returns what is wrong in it; undefined where that cannot be told now: it is away or not open, or Postgres is behind, which has
 *   metrics of its own and makes differences that are none
 */
export async function verifyOne(options: VerifyOptions, partition: number): Promise<Problems | undefined> {
  const status = await statusOf(options.partitions, partition);
  if (!status?.open) return undefined;
  const problems = new Problems();
  await verifyPartition(options, partition, Date.now() + (options.waitMs ?? WAIT_MS), problems);
  return problems.list.some(({ subject }) => subject === 'partition') ? undefined : problems;
}

async function countReversals(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>('SELECT count(*)::bigint AS count FROM reversals');
  return rows[0]!.count;
}

async function checkQuarantine(pool: pg.Pool, problems: Problems): Promise<Set<number>> {
  const { rows } = await pool.query<{ partition: number; epoch: number; seq: number; reason: string }>(
    'SELECT partition, epoch, seq, reason FROM quarantine ORDER BY partition',
  );
  for (const row of rows) problems.add(row.partition, 'halted', `at ${row.epoch}-${row.seq}: ${row.reason}`);
  return new Set(rows.map((row) => row.partition));
}

async function checkStatus(partitions: PartitionsApi, problems: Problems): Promise<Map<number, PartitionStatus>> {
  const reachable = new Map((await partitions.status()).map((status) => [status.partition, status]));
  for (let partition = 0; partition < partitions.count; partition++) {
    const status = reachable.get(partition);
    if (!status) problems.add(partition, 'partition', 'its node cannot be reached');
    else if (!status.open) problems.add(partition, 'partition', 'is not open: recovery has to look at it');
  }
  return reachable;
}

/** What has not agreed yet. */
interface Suspicion {
  /** Counts as they were read first: the ledger must have them under their version. */
  readonly counts: Map<string, { item: StockItem | undefined; difference: Difference }>;
  readonly others: Differences;
  /** By subject: what Redis does not agree with itself about. */
  sums: Map<string, string>;
  /** Events that Postgres did not have when Redis had been looked at last. */
  behind: number;
}

interface Found {
  readonly counted: Look['counted'];
  readonly rows: number;
}

async function verifyPartition(
  options: VerifyOptions,
  partition: number,
  until: number,
  problems: Problems,
): Promise<Found> {
  const live = await readLive(options.partitions, partition);
  const look = await lookAt(options.pool, partition, live, {
    problems,
    heads: options.heads ?? new Map<number, ChainHead>(),
    wholeChain: options.wholeChain ?? true,
  });
  const { counts, others } = look;
  const suspicion: Suspicion = {
    counts: new Map([...counts].map(([ref, difference]) => [ref, { item: live.items.get(ref), difference }])),
    others,
    // Postgres was compared with itself: where all is as there, there is nothing more to be found.
    sums: counts.size + others.size > 0 ? checkLive(live) : new Map<string, string>(),
    behind: 0,
  };
  let { rows } = look;
  await clearByLedger(options.pool, suspicion);
  const looks = until > 0 && (options.waitMs ?? WAIT_MS) > 0 ? LEAST_LOOKS : 0;
  let looked = 0;
  for (; isSuspicious(suspicion) && (looked < looks || Date.now() < until); looked++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await clearByLedger(options.pool, suspicion);
    if (isSuspicious(suspicion)) rows += await clearByReading(options, partition, suspicion, until);
  }
  if (looked === 0) suspicion.behind = await lag(options.partitions, partition, look.seq);
  report(partition, suspicion, problems);
  return { counted: look.counted, rows };
}

function isSuspicious({ counts, others, sums }: Suspicion): boolean {
  return counts.size > 0 || others.size > 0 || sums.size > 0;
}

async function lag(partitions: PartitionsApi, partition: number, persisted: number): Promise<number> {
  return Math.max(0, ((await statusOf(partitions, partition))?.seq ?? 0) - persisted);
}

/** Takes off what the ledger has with the very same counts under another version than `stock` is at: then both agreed at that version. */
async function clearByLedger(pool: pg.Pool, { counts }: Suspicion): Promise<void> {
  const items = [...counts.values()].flatMap(({ item }) => item ?? []);
  if (items.length === 0) return;
  const { rows } = await pool.query<{ ref: string }>(
    `SELECT w.ref FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
       AS w(ref, version, available, reserved, sold, at),
     LATERAL (SELECT * FROM movements m WHERE m.ref = w.ref AND m.version = w.version ORDER BY m.seq DESC LIMIT 1) m
     WHERE m.available = w.available AND m.reserved = w.reserved AND m.sold = w.sold AND m.at = w.at
       AND NOT EXISTS (SELECT 1 FROM stock s WHERE s.ref = w.ref AND s.version = w.version
         AND (s.available, s.reserved, s.sold, s.updated_at) <> (w.available, w.reserved, w.sold, w.at))`,
    [
      items.map((item) => `${item.location}:${item.sku}`),
      items.map((item) => item.version),
      items.map((item) => item.available),
      items.map((item) => item.reserved),
      items.map((item) => item.sold),
      items.map((item) => item.updatedAt),
    ],
  );
  for (const { ref } of rows) counts.delete(ref);
}

/**
 * Takes off what agrees now: something that agreed once and changed since is just being sold.
 * @returns rows that Postgres sent
 */
async function clearByReading(
  options: VerifyOptions,
  partition: number,
  suspicion: Suspicion,
  until: number,
): Promise<number> {
  const names = { items: new Set(suspicion.counts.keys()), holds: new Set<string>(), claims: new Set<string>() };
  for (const { table, key } of suspicion.others.values()) names[table].add(key);
  const again = await lookAgain(options, partition, names, until);
  for (const subject of suspicion.others.keys()) {
    const difference = again.others.get(subject);
    if (difference) suspicion.others.set(subject, difference);
    else suspicion.others.delete(subject);
  }
  // Counts that the ledger cannot vouch for (an item that one side lacked, a version that was lost) may be equal by now.
  for (const [ref, { item }] of suspicion.counts) {
    const difference = again.counts.get(ref);
    if (difference) suspicion.counts.set(ref, { item: item ?? again.live.items.get(ref), difference });
    else suspicion.counts.delete(ref);
  }
  if (suspicion.sums.size > 0) suspicion.sums = checkLive(await readLive(options.partitions, partition));
  suspicion.behind = again.behind;
  return again.rows;
}

/** What Redis holds must agree with itself. Pages of a partition in use do not; then what agrees with Postgres is enough. */
function checkLive(live: LivePartition): Map<string, string> {
  const differences = new Map<string, string>();
  const held = heldUnits(live.holds.values());
  for (const [ref, { available, reserved, sold }] of live.items) {
    const units = held.get(ref) ?? 0;
    if (live.quiet && units !== reserved)
      differences.set(`holds of ${ref}`, `make ${units} reserved units, the item says ${reserved} (Redis)`);
    if (available < 0 || reserved < 0 || sold < 0)
      differences.set(`counts of ${ref}`, `available ${available}, reserved ${reserved}, sold ${sold} (Redis)`);
  }
  return differences;
}

function report(partition: number, suspicion: Suspicion, problems: Problems): void {
  if (!isSuspicious(suspicion)) return;
  const { counts, others, sums, behind } = suspicion;
  if (behind > 0)
    problems.add(partition, 'partition', `${behind} events are not in Postgres yet (is a worker running?)`);
  for (const [ref, { difference }] of counts) problems.add(partition, ref, difference.detail);
  for (const [subject, { detail }] of others) problems.add(partition, subject, detail);
  for (const [subject, detail] of sums) problems.add(partition, subject, detail);
}

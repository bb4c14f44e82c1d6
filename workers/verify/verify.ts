import type pg from 'pg';
import type { PartitionsApi, PartitionStatus, StockItem } from '../../engine/types.js';
import { chainEnds, type ChainHead } from './chain.js';
import { compare, type Differences, type LivePartition } from './compare.js';
import { heldUnits, readPersisted } from './ledger.js';
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
      for (const key of ['items', 'holds', 'claims', 'movements'] as const) counted[key] += found[key];
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
  const status = (await options.partitions.status()).find((one) => one.partition === partition);
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

/** What has not agreed yet. Counts are those that were read first: the ledger must have them under their version. */
interface Suspicion {
  counts: Map<string, { item: StockItem | undefined; difference: string }>;
  others: Differences;
}

async function verifyPartition(options: VerifyOptions, partition: number, until: number, problems: Problems) {
  const live = await readLive(options.partitions, partition);
  const persisted = await readPersisted(options.pool, partition, {
    problems,
    heads: options.heads ?? new Map<number, ChainHead>(),
    wholeChain: options.wholeChain ?? true,
  });
  const { counts, others } = compare(live, persisted, Date.now());
  const suspicion: Suspicion = {
    counts: new Map([...counts].map(([ref, difference]) => [ref, { item: live.items.get(ref), difference }])),
    others: new Map([...others, ...checkLive(live)]),
  };
  await clearByLedger(options.pool, suspicion);
  const looks = until > 0 && (options.waitMs ?? WAIT_MS) > 0 ? LEAST_LOOKS : 0;
  for (
    let look = 0;
    (suspicion.counts.size > 0 || suspicion.others.size > 0) && (look < looks || Date.now() < until);
    look++
  ) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await clearByLedger(options.pool, suspicion);
    if (suspicion.counts.size > 0 || suspicion.others.size > 0) await clearByReading(options, partition, suspicion);
  }
  await report(options, partition, suspicion, persisted.seq, problems);
  const { items, holds, claims, movements } = persisted;
  return { items: items.size, holds: holds.size, claims: claims.size, movements };
}

async function readLive(partitions: PartitionsApi, partition: number): Promise<LivePartition> {
  const live: LivePartition & { quiet: boolean } = {
    items: new Map(),
    holds: new Map(),
    claims: new Map(),
    quiet: false,
  };
  const before = await seqOf(partitions, partition);
  for await (const page of partitions.dump(partition)) {
    for (const item of page.items ?? []) live.items.set(`${item.location}:${item.sku}`, item);
    for (const hold of page.holds ?? []) live.holds.set(hold.id, hold);
    for (const claim of page.claims ?? []) live.claims.set(claim.id, claim);
  }
  live.quiet = before !== undefined && before === (await seqOf(partitions, partition));
  return live;
}

async function seqOf(partitions: PartitionsApi, partition: number): Promise<number | undefined> {
  return (await partitions.status()).find((status) => status.partition === partition)?.seq;
}

/** Takes off what the ledger has with the very same counts: then both agreed at that version. */
async function clearByLedger(pool: pg.Pool, suspicion: Suspicion): Promise<void> {
  const items = [...suspicion.counts.values()].flatMap(({ item }) => item ?? []);
  if (items.length === 0) return;
  const { rows } = await pool.query<{ ref: string }>(
    `SELECT w.ref FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
       AS w(ref, version, available, reserved, sold, at),
     LATERAL (SELECT * FROM movements m WHERE m.ref = w.ref AND m.version = w.version ORDER BY m.seq DESC LIMIT 1) m
     WHERE m.available = w.available AND m.reserved = w.reserved AND m.sold = w.sold AND m.at = w.at`,
    [
      items.map((item) => `${item.location}:${item.sku}`),
      items.map((item) => item.version),
      items.map((item) => item.available),
      items.map((item) => item.reserved),
      items.map((item) => item.sold),
      items.map((item) => item.updatedAt),
    ],
  );
  for (const { ref } of rows) suspicion.counts.delete(ref);
}

/** Takes off what agrees now: something that agreed once and changed since is just being sold. */
async function clearByReading(
  { partitions, pool }: VerifyOptions,
  partition: number,
  suspicion: Suspicion,
): Promise<void> {
  const live = await readLive(partitions, partition);
  const persisted = await readPersisted(pool, partition);
  const again = compare(live, persisted, Date.now());
  const differing = new Map([...again.others, ...checkLive(live)]);
  for (const [subject] of suspicion.others) {
    const difference = differing.get(subject);
    if (difference) suspicion.others.set(subject, difference);
    else suspicion.others.delete(subject);
  }
  // Counts that the ledger cannot vouch for (an item that one side lacked, a version that was lost) may be equal by now.
  for (const [ref, { item }] of suspicion.counts) {
    const difference = again.counts.get(ref);
    if (difference) suspicion.counts.set(ref, { item: item ?? live.items.get(ref), difference });
    else suspicion.counts.delete(ref);
  }
}

/** What Redis holds must agree with itself. Pages of a partition in use do not; then what agrees with Postgres is enough. */
function checkLive(live: LivePartition): Differences {
  const differences: Differences = new Map();
  const held = heldUnits(live.holds.values());
  for (const [ref, item] of live.items) {
    const units = held.get(ref) ?? 0;
    if (live.quiet && units !== item.reserved) {
      differences.set(`holds of ${ref}`, `make ${units} reserved units, the item says ${item.reserved} (Redis)`);
    }
    if (item.available < 0 || item.reserved < 0 || item.sold < 0) {
      differences.set(
        `counts of ${ref}`,
        `available ${item.available}, reserved ${item.reserved}, sold ${item.sold} (Redis)`,
      );
    }
  }
  return differences;
}

async function report(
  { partitions }: VerifyOptions,
  partition: number,
  { counts, others }: Suspicion,
  seq: number,
  problems: Problems,
): Promise<void> {
  if (counts.size === 0 && others.size === 0) return;
  const status = (await partitions.status()).find((one) => one.partition === partition);
  if (status && status.seq > seq) {
    problems.add(partition, 'partition', `${status.seq - seq} events are not in Postgres yet (is a worker running?)`);
  }
  for (const [ref, { difference }] of counts) problems.add(partition, ref, difference);
  for (const [subject, difference] of others) problems.add(partition, subject, difference);
}

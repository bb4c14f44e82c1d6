/** Pages through everything a partition holds. The pages are not of one moment: what changes meanwhile may be old or new. */
import type { ItemKind, Keys } from '../keys.js';
import type { Connection, Reply } from '../redis/connection.js';
import { textOf } from '../redis/nodes.js';
import type { HoldRecord, PartitionDump, RecordNames, StockItem } from '../types.js';
import { readClaim, readHold, readItem, STOCK_FIELDS } from './records.js';

const COMMAND_TIMEOUT_MS = 10_000;
const ITEMS_A_PAGE = 200;
const RECORDS_A_PAGE = 500;
/** Up to so many keys a slot are listed at once (some ms of the node's time); beyond, the node is scanned step by step. */
const LISTED_AT_ONCE = 20_000;
const SCAN_COUNT = 1_000;

export async function* dumpPartition(
  connection: Connection,
  keys: Keys,
  partition: number,
): AsyncGenerator<PartitionDump> {
  let refs: string[] = [];
  for await (const page of itemRefs(connection, keys, partition, 'stock')) {
    refs.push(...page);
    while (refs.length >= ITEMS_A_PAGE) {
      yield { items: await readItems(connection, keys, partition, refs.slice(0, ITEMS_A_PAGE)) };
      refs = refs.slice(ITEMS_A_PAGE);
    }
  }
  if (refs.length > 0) yield { items: await readItems(connection, keys, partition, refs) };
  for await (const holds of records(connection, keys.fixed('holds', partition), readHold)) yield { holds };
  for await (const claims of records(connection, keys.fixed('claims', partition), readClaim)) yield { claims };
}

/** What a partition holds under some names. */
export async function readRecords(
  connection: Connection,
  keys: Keys,
  partition: number,
  { items = [], holds = [], claims = [] }: RecordNames,
): Promise<Required<PartitionDump>> {
  const found: StockItem[] = [];
  for (let at = 0; at < items.length; at += ITEMS_A_PAGE)
    found.push(...(await readItems(connection, keys, partition, items.slice(at, at + ITEMS_A_PAGE))));
  return {
    items: found,
    holds: await named(connection, keys.fixed('holds', partition), holds, readHold),
    claims: await named(connection, keys.fixed('claims', partition), claims, readClaim),
  };
}

async function named(
  connection: Connection,
  key: string,
  ids: readonly string[],
  read: (id: string, bytes: Buffer) => HoldRecord,
): Promise<HoldRecord[]> {
  const records: HoldRecord[] = [];
  for (let at = 0; at < ids.length; at += RECORDS_A_PAGE) {
    const page = ids.slice(at, at + RECORDS_A_PAGE);
    const reply = await connection.run(['HMGET', key, ...page], COMMAND_TIMEOUT_MS);
    for (const [n, bytes] of (reply as (Buffer | null)[]).entries()) if (bytes) records.push(read(page[n]!, bytes));
  }
  return records;
}

/** Refs of all items of the partition, each once. */
export async function* itemRefs(
  connection: Connection,
  keys: Keys,
  partition: number,
  kind: ItemKind,
): AsyncGenerator<string[]> {
  const slot = keys.partitions.slots[partition]!;
  const pick = (found: Reply): string[] =>
    Array.isArray(found) ? found.flatMap((key) => keys.refIn(kind, partition, textOf(key)) ?? []) : [];
  const count = await connection.run(['CLUSTER', 'COUNTKEYSINSLOT', slot], COMMAND_TIMEOUT_MS);
  if (typeof count === 'number' && count <= LISTED_AT_ONCE) {
    yield pick(await connection.run(['CLUSTER', 'GETKEYSINSLOT', slot, LISTED_AT_ONCE], COMMAND_TIMEOUT_MS));
    return;
  }
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const pattern = `${keys.itemBasesOf(kind)[partition]!}*`;
    const reply = await connection.run(['SCAN', cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT], COMMAND_TIMEOUT_MS);
    const [next, found] = reply as [Reply, Reply];
    cursor = textOf(next);
    const fresh = pick(found).filter((ref) => !seen.has(ref));
    for (const ref of fresh) seen.add(ref);
    if (fresh.length > 0) yield fresh;
  } while (cursor !== '0');
}

async function readItems(
  connection: Connection,
  keys: Keys,
  partition: number,
  refs: readonly string[],
): Promise<StockItem[]> {
  const replies = await connection.all(
    refs.map((ref) => ['HMGET', keys.item('stock', partition, ref), ...STOCK_FIELDS]),
    COMMAND_TIMEOUT_MS,
  );
  const items: StockItem[] = [];
  for (const [index, reply] of replies.entries()) {
    if (reply instanceof Error) throw reply;
    const item = readItem(refs[index]!, reply as (Buffer | null)[]);
    if (item) items.push(item);
  }
  return items;
}

async function* records(
  connection: Connection,
  key: string,
  read: (id: string, bytes: Buffer) => HoldRecord,
): AsyncGenerator<HoldRecord[]> {
  // HSCAN may name a field twice while the hash grows.
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const reply = await connection.run(['HSCAN', key, cursor, 'COUNT', RECORDS_A_PAGE], COMMAND_TIMEOUT_MS);
    const [next, flat] = reply as [Reply, Reply[]];
    cursor = textOf(next);
    const page: HoldRecord[] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) {
      const id = textOf(flat[i]);
      if (seen.has(id)) continue;
      seen.add(id);
      page.push(read(id, flat[i + 1] as Buffer));
    }
    if (page.length > 0) yield page;
  } while (cursor !== '0');
}

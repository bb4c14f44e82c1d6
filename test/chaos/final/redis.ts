/** Reads all partitions key by key. Keys and records are those of docs/protocol.md, taken apart here once more. */
import { Unpackr } from 'msgpackr';
import { withAdmin } from '../../../stack/redis-form.js';
import type { World } from '../world.js';
import { type FinalHold, type FinalItem, type FinalLine, type FinalRecord, type FinalRedis, keyOf } from './types.js';
import type { Redis } from 'ioredis';

const unpackr = new Unpackr({ int64AsType: 'number', useRecords: false });
const unpack = (bytes: Buffer): (string | number)[] => unpackr.unpack(bytes) as (string | number)[];

interface Sink extends FinalRedis {
  now: number;
}

const PAGE = 500;

export async function readRedis(world: World): Promise<FinalRedis> {
  const final: Sink = {
    items: new Map(),
    holds: new Map(),
    claims: new Map(),
    ids: new Map(),
    meta: new Map(),
    logLength: new Map(),
    buyers: new Map(),
    now: 0,
  };
  const tags = tagsOf(world.partitions);
  for (const { node, role, failed, slots } of await world.view()) {
    if (role !== 'master' || failed || !node.running) continue;
    // A master that lost the end of its file may have keys again that moved away before: nobody is sent there for them.
    const here = new Set(partitionsIn(slots, world.partitions));
    const own = [...tags].filter(([, partition]) => here.has(partition));
    await withAdmin(node.port, (redis) => readNode(redis, world.prefix, new Map(own), final));
  }
  const missing = [...tags.values()].filter((partition) => !final.meta.has(partition));
  if (missing.length > 0) throw new Error(`partitions ${missing.join(', ')} are on no master`);
  return final;
}

async function readNode(redis: Redis, prefix: string, tags: Map<string, number>, final: Sink): Promise<void> {
  const [seconds] = (await redis.time()) as unknown as [string];
  final.now = Math.max(final.now, Number(seconds) * 1000);
  let cursor = '0';
  const seen = new Set<string>();
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}:{*`, 'COUNT', PAGE);
    cursor = next;
    for (const key of keys) {
      const [, tag, rest] = /^[^{]*\{([^}]*)\}:(.*)$/.exec(key) ?? [];
      const partition = tags.get(tag ?? '-');
      if (partition === undefined || rest === undefined || seen.has(key)) continue;
      seen.add(key);
      await readKey(redis, key, rest, partition, final);
    }
  } while (cursor !== '0');
}

async function readKey(redis: Redis, key: string, rest: string, partition: number, final: Sink): Promise<void> {
  const colon = rest.indexOf(':');
  const kind = colon < 0 ? rest : rest.slice(0, colon);
  const ref = rest.slice(colon + 1);
  switch (kind) {
    case 'meta': {
      const { epoch, seq, owner, persisted } = await redis.hgetall(key);
      final.meta.set(partition, {
        epoch: Number(epoch),
        seq: Number(seq),
        owner: owner ?? '',
        persisted: persisted ?? '',
      });
      return;
    }
    case 'log':
      return void final.logLength.set(partition, await redis.xlen(key));
    case 'stock':
      return void final.items.set(ref, itemOf(await redis.hgetall(key)));
    case 'buyers': {
      const units = Object.entries(await redis.hgetall(key)).map(([buyer, count]) => [buyer, Number(count)] as const);
      return void final.buyers.set(ref, new Map(units));
    }
    case 'holds':
      return fields(redis, key, (id, cells) => final.holds.set(keyOf(partition, id), holdOf(cells)));
    case 'claims':
      return fields(redis, key, (id, cells) => final.claims.set(keyOf(partition, id), claimOf(cells)));
    case 'ids':
      return fields(redis, key, (field, cells) => final.ids.set(field, recordOf(cells)));
  }
}

async function fields(
  redis: Redis,
  key: string,
  take: (field: string, cells: (string | number)[]) => void,
): Promise<void> {
  let cursor = '0';
  do {
    const [next, flat] = await redis.hscanBuffer(key, cursor, 'COUNT', PAGE);
    cursor = String(next);
    for (let i = 0; i + 1 < flat.length; i += 2) take(String(flat[i]), unpack(flat[i + 1]!));
  } while (cursor !== '0');
}

function itemOf(fields: Record<string, string>): FinalItem {
  const { a, r, s, v, l } = fields;
  const level = { available: Number(a), reserved: Number(r ?? 0), sold: Number(s ?? 0), version: Number(v) };
  return l === undefined ? level : { ...level, buyerLimit: Number(l) };
}

function holdOf(cells: (string | number)[]): FinalHold {
  const lines: FinalLine[] = [];
  for (let i = 6; i + 3 < cells.length; i += 4) {
    const [ref, quantity, returned, counted] = cells.slice(i, i + 4);
    lines.push({ ref: String(ref), quantity: Number(quantity), returned: Number(returned), counted: counted === 1 });
  }
  return { ...headOf(cells), lines };
}

function claimOf(cells: (string | number)[]): FinalHold {
  const lines: FinalLine[] = [];
  for (let i = 7; i + 1 < cells.length; i += 2)
    lines.push({ ref: String(cells[i]), quantity: Number(cells[i + 1]), returned: 0, counted: false });
  return { ...headOf(cells), lines };
}

function headOf(cells: (string | number)[]) {
  const [state, deadline, , attempt, buyer] = cells;
  return { state: Number(state), deadline: Number(deadline), attempt: Number(attempt), buyer: String(buyer) };
}

function recordOf([kind, , available, reserved, sold, version]: (string | number)[]): FinalRecord {
  return {
    kind: Number(kind),
    available: Number(available),
    reserved: Number(reserved),
    sold: Number(sold),
    version: Number(version),
  };
}

const SLOTS = 16_384;
const slotOf = (tag: string): number => crc16(tag) % SLOTS;

/** The tag of each partition: the first of 0, 1, 2 … (base 36) whose slot lies in its share of the slots. */
export function tagsOf(count: number): Map<string, number> {
  const tags = new Map<string, number>();
  const found = new Set<number>();
  for (let n = 0; found.size < count; n++) {
    const tag = n.toString(36);
    const partition = Math.floor(slotOf(tag) / (SLOTS / count));
    if (found.has(partition)) continue;
    found.add(partition);
    tags.set(tag, partition);
  }
  return tags;
}

/** Those whose tag lies in one of the ranges of slots, both ends inclusive. */
export const partitionsIn = (slots: readonly (readonly [number, number])[], count: number): number[] =>
  [...tagsOf(count)]
    .filter(([tag]) => slots.some(([from, to]) => from <= slotOf(tag) && slotOf(tag) <= to))
    .map(([, partition]) => partition);

/** Where a reservation is decided, and where an item lies. */
export const partitionOf = (text: string, count: number): number => crc16(text) % count;

/** CRC16/XMODEM, bit by bit. */
function crc16(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc;
}

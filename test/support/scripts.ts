/**
 * Script calls by hand: a partition is opened, filled and read back directly, and each script is called on the node that serves
 * it. Nothing of the engine but key names and bindings is in between.
 */
import { Redis } from 'ioredis';
import { Packr, Unpackr } from 'msgpackr';
import { eventByNumber } from '../../engine/scripts/generated/events.js';
import { scripts as allScripts } from '../../engine/scripts/generated/index.js';
import {
  type DecodedReply,
  decodeReply,
  encodeCall,
  type ReplyValue,
  type Script,
  type ScriptInfo,
  type Wire,
} from '../../engine/scripts/script.js';
import { type FixedKind, type ItemKind, Keys } from '../../engine/keys.js';
import { Partitions } from '../../engine/partitions.js';
import { type RedisClusterOptions } from '../../stack/redis-cluster.js';
import { atEnd, startCluster, testCluster } from '../harness/index.js';

export const FIXED_KINDS = ['meta', 'log', 'due', 'holds', 'claims', 'ids'] as const satisfies readonly FixedKind[];

const unpackr = new Unpackr({ int64AsType: 'number', useRecords: false });
const packr = new Packr({ useRecords: false });
export const unpack = (bytes: Buffer): unknown => unpackr.unpack(bytes);
export const pack = (value: unknown): Buffer => packr.pack(value);

export interface Meta {
  owner?: string;
  epoch?: number;
  seq?: number;
}
export type Cell = string | number;
/** Fields of a stock hash by their letters; `m` is text, all others numbers. */
export type StockFields = Record<string, Cell>;
/** Everything a partition holds but its log, decoded. Empty keys are empty objects. */
export interface World {
  meta: Meta;
  stock: Record<string, StockFields>;
  buyers: Record<string, Record<string, number>>;
  holds: Record<string, Cell[]>;
  claims: Record<string, Cell[]>;
  ids: Record<string, Cell[]>;
  /** Member → score. */
  due: Record<string, number>;
}

/** An event of the log by its columns. */
export interface LoggedEvent {
  seq: number;
  kind: string;
  ref: string;
  id: string;
  quantity: number;
  actor: string;
  detail: string;
  available: number;
  reserved: number;
  sold: number;
  version: number;
  deadline: number;
  fingerprint: number;
  attempt: number;
}
export interface LoggedEntry {
  id: string;
  at: number;
  epoch: number;
  events: LoggedEvent[];
}

const EVENT_WIDTH = 13;

/** One master of the cluster. */
export interface MasterNode {
  readonly client: Redis;
  readonly port: number;
  readonly id: string;
}

/** Opens a connection that ends with the file. */
export function connect(port: number): Redis {
  const client = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: 0, retryStrategy: () => null });
  atEnd(async () => client.disconnect());
  return client;
}

export class ScriptCluster {
  private constructor(
    readonly keys: Keys,
    readonly masters: readonly MasterNode[],
    private readonly bySlot: (slot: number) => MasterNode,
  ) {}

  /** The shared test cluster under a prefix of its own, all scripts loaded on its masters. */
  static async open(): Promise<ScriptCluster> {
    const { redisNodes, prefix } = await testCluster();
    return ScriptCluster.of(redisNodes[0]!.port, prefix);
  }

  /** A cluster for this file alone: for tests whose traffic others should not have to bear. */
  static async own(options: Partial<RedisClusterOptions> = {}): Promise<ScriptCluster> {
    const { startupNodes } = await startCluster(options);
    return ScriptCluster.of(startupNodes[0]!.port, 'own');
  }

  private static async of(port: number, prefix: string, partitions = 64): Promise<ScriptCluster> {
    const first = connect(port);
    const slots = (await first.call('CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][];
    const masters = new Map<number, MasterNode>();
    for (const [, , [, port, id]] of slots)
      if (!masters.has(port)) masters.set(port, { client: connect(port), port, id });
    const cluster = new ScriptCluster(new Keys(prefix, new Partitions(partitions)), [...masters.values()], (slot) => {
      const range = slots.find(([from, to]) => slot >= from && slot <= to);
      return masters.get(range![2][1])!;
    });
    await cluster.load(allScripts);
    return cluster;
  }

  async load(scripts: readonly ScriptInfo[]): Promise<void> {
    for (const { client } of this.masters) {
      const pipeline = client.pipeline();
      for (const script of scripts) pipeline.call('SCRIPT', 'LOAD', script.source);
      const results = (await pipeline.exec())!;
      for (const [i, [error, sha1]] of results.entries())
        if (error ?? sha1 !== scripts[i]!.sha1) throw error ?? new Error(`${scripts[i]!.name}: sha1 differs`);
    }
  }

  node(partition: number): MasterNode {
    return this.bySlot(this.keys.partitions.slots[partition]!);
  }

  partition(partition: number): ScriptPartition {
    return new ScriptPartition(this.keys, partition, this.node(partition));
  }
}

export class ScriptPartition {
  constructor(
    readonly keys: Keys,
    readonly number: number,
    readonly node: MasterNode,
  ) {}

  key(kind: FixedKind): string {
    return this.keys.fixed(kind, this.number);
  }

  itemKey(kind: ItemKind, ref: string): string {
    return this.keys.item(kind, this.number, ref);
  }

  /** The KEYS of a call, in the order of the header. */
  keysOf(script: ScriptInfo, items: readonly string[]): string[] {
    return [
      ...script.fixedKeys.map((kind) => this.key(kind)),
      ...script.itemKeys.flatMap((kind) => items.map((ref) => this.itemKey(kind, ref))),
    ];
  }

  /** EVALSHA with any keys and arguments; rejects with Redis' error. */
  async raw(script: ScriptInfo, keys: readonly string[], argv: readonly (Wire | Buffer)[]): Promise<ReplyValue[]> {
    const args = [script.sha1, keys.length, ...keys, ...argv];
    return (await this.node.client.call('EVALSHA', ...args)) as ReplyValue[];
  }

  async call<Args, Op, R>(script: Script<Args, Op, R>, args: Args, ops: readonly Op[] = []): Promise<DecodedReply<R>> {
    const { items, argv } = encodeCall(script, args, ops);
    return decodeReply(script, await this.raw(script, this.keysOf(script, items), argv), ops.length);
  }

  /** All keys of this partition that exist under the prefix. */
  async keysThere(): Promise<string[]> {
    const slot = this.keys.partitions.slots[this.number]!;
    const all = (await this.node.client.call('CLUSTER', 'GETKEYSINSLOT', slot, 1_000_000)) as string[];
    return all.filter((key) => key.startsWith(`${this.keys.prefix}:`)).sort();
  }

  async wipe(): Promise<void> {
    const there = await this.keysThere();
    if (there.length) await this.node.client.del(...there);
  }

  /** Replaces what the partition holds, open under epoch 1 and seq 0 unless said otherwise. */
  async fill(world: Partial<World>): Promise<void> {
    await this.wipe();
    const to = this.node.client.pipeline();
    const meta = { owner: this.node.id, epoch: 1, seq: 0, ...world.meta };
    const present = Object.entries(meta).filter(([, value]) => value !== undefined);
    if (present.length) to.hset(this.key('meta'), Object.fromEntries(present));
    for (const [ref, fields] of Object.entries(world.stock ?? {})) to.hset(this.itemKey('stock', ref), fields);
    for (const [ref, units] of Object.entries(world.buyers ?? {}))
      if (Object.keys(units).length) to.hset(this.itemKey('buyers', ref), units);
    for (const kind of ['holds', 'claims', 'ids'] as const)
      for (const [id, record] of Object.entries(world[kind] ?? {})) to.hset(this.key(kind), id, pack(record));
    for (const [member, score] of Object.entries(world.due ?? {})) to.zadd(this.key('due'), score, member);
    for (const [error] of (await to.exec())!) if (error) throw error;
  }

  /** Everything but the log. `besides` are keys of the test's own. */
  async world(besides: readonly string[] = []): Promise<World> {
    const { client } = this.node;
    const world: World = { meta: {}, stock: {}, buyers: {}, holds: {}, claims: {}, ids: {}, due: {} };
    const meta = await client.hgetall(this.key('meta'));
    world.meta = {
      ...meta,
      ...(meta.epoch === undefined ? {} : { epoch: Number(meta.epoch) }),
      ...(meta.seq === undefined ? {} : { seq: Number(meta.seq) }),
    };
    for (const kind of ['holds', 'claims', 'ids'] as const)
      for (const [id, record] of Object.entries(await client.hgetallBuffer(this.key(kind))))
        world[kind][id] = unpack(record) as Cell[];
    const due = await client.zrange(this.key('due'), '0', '-1', 'WITHSCORES');
    for (let i = 0; i < due.length; i += 2) world.due[due[i]!] = Number(due[i + 1]);
    const fixed = new Set<string>([...FIXED_KINDS.map((kind) => this.key(kind)), ...besides]);
    for (const key of await this.keysThere()) await this.readItem(key, fixed, world);
    return world;
  }

  private async readItem(key: string, fixed: ReadonlySet<string>, world: World): Promise<void> {
    const { client } = this.node;
    const stock = this.keys.refIn('stock', this.number, key);
    const buyers = this.keys.refIn('buyers', this.number, key);
    if (stock !== undefined) {
      const fields = await client.hgetall(key);
      world.stock[stock] = Object.fromEntries(
        Object.entries(fields).map(([f, v]) => [f, f === 'm' ? v : exact(v, key)]),
      );
    } else if (buyers !== undefined) {
      const units = await client.hgetall(key);
      world.buyers[buyers] = Object.fromEntries(Object.entries(units).map(([b, v]) => [b, exact(v, key)]));
    } else if (!fixed.has(key)) throw new Error(`a key nobody declared: ${key}`);
  }

  async log(): Promise<LoggedEntry[]> {
    const raw = (await this.node.client.xrangeBuffer(this.key('log'), '-', '+')) as unknown as [Buffer, Buffer[]][];
    return raw.map(([id, fields]) => decodeEntry(id.toString(), fields));
  }

  /** Every key of the partition as Redis serialises it, with its time to live. */
  async snapshot(): Promise<Snapshot> {
    const names = await this.keysThere();
    const pipeline = this.node.client.pipeline();
    for (const name of names) pipeline.dumpBuffer(name).pttl(name);
    const results = (await pipeline.exec()) ?? [];
    const snapshot: Snapshot = new Map();
    for (const [i, name] of names.entries()) {
      const [dump, ttl] = [results[2 * i]!, results[2 * i + 1]!];
      if (dump[0] ?? ttl[0]) throw dump[0] ?? ttl[0]!;
      snapshot.set(name, { dump: (dump[1] as Buffer | null) ?? Buffer.alloc(0), ttl: ttl[1] as number });
    }
    return snapshot;
  }
}

export type Snapshot = Map<string, { dump: Buffer; ttl: number }>;

/** The keys that are not the same, byte for byte. */
export function changedKeys(before: Snapshot, after: Snapshot): string[] {
  const changed: string[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [b, a] = [before.get(key), after.get(key)];
    if (!b || !a || b.ttl !== a.ttl || !b.dump.equals(a.dump)) changed.push(key);
  }
  return changed;
}

/** Numbers are written as plain decimal integers; anything else is shown as it is, so that it compares unequal. */
function exact(text: string, key: string): number {
  if (!/^-?\d+$/.test(text)) throw new Error(`${key} holds ${JSON.stringify(text)}, not an integer`);
  return Number(text);
}

export function decodeEntry(id: string, fields: readonly Buffer[]): LoggedEntry {
  if (fields.length !== 2 || fields[0]!.toString() !== 'e') throw new Error(`log entry ${id} is not one field e`);
  const [version, at, epoch, first, refs, columns] = unpack(fields[1]!) as [
    number,
    number,
    number,
    number,
    string[],
    Cell[],
  ];
  if (version !== 1) throw new Error(`log entry ${id} has version ${version}`);
  if (columns.length % EVENT_WIDTH !== 0) throw new Error(`log entry ${id} has ${columns.length} columns`);
  const events: LoggedEvent[] = [];
  for (let i = 0; i < columns.length / EVENT_WIDTH; i++) {
    const [
      kind,
      item,
      event,
      quantity,
      actor,
      detail,
      available,
      reserved,
      sold,
      number,
      deadline,
      fingerprint,
      attempt,
    ] = columns.slice(i * EVENT_WIDTH, (i + 1) * EVENT_WIDTH) as [
      number,
      number,
      string,
      number,
      string,
      string,
      ...number[],
    ];
    events.push({
      seq: first + i,
      kind: eventByNumber[kind] ?? `unknown ${kind}`,
      ref: item === 0 ? '' : (refs[item - 1] ?? `unknown ${item}`),
      id: event,
      quantity,
      actor,
      detail,
      available: available!,
      reserved: reserved!,
      sold: sold!,
      version: number!,
      deadline: deadline!,
      fingerprint: fingerprint!,
      attempt: attempt!,
    });
  }
  return { id, at, epoch, events };
}

/** Calls of recovery's own scripts on one connection, past the batcher and its gates. */
import type { Keys } from '../keys.js';
import type { Connection, Reply } from '../redis/connection.js';
import type { LoadedScript, ScriptSet } from '../scripts/loading.js';
import { decodeReply, type DecodedReply, encodeCall, type ReplyValue, type Script } from '../scripts/script.js';
import { itemRefs } from '../partitions/dump.js';
import { textOf } from '../redis/nodes.js';
import { COMMAND_TIMEOUT_MS } from './inspect.js';

/** Keys removed by one command. */
const KEYS_AT_ONCE = 500;
/** Several calls of several partitions wait behind each other on the one connection. */
const PAGES_TIMEOUT_MS = 10_000;

type Command = (string | number | Buffer)[];

export class DirectCalls {
  constructor(
    private readonly connection: Connection,
    private readonly keys: Keys,
    private readonly scripts: ScriptSet,
  ) {}

  /** Loads scripts into the process this connection reaches. @throws the first error. */
  async load(scripts: readonly LoadedScript[]): Promise<void> {
    const replies = await this.connection.all(
      scripts.map(({ source }) => ['SCRIPT', 'LOAD', source]),
      COMMAND_TIMEOUT_MS * 5,
    );
    for (const [index, reply] of replies.entries())
      if (reply instanceof Error) throw new Error(`${scripts[index]!.name} cannot be loaded: ${reply.message}`);
  }

  command<Args, Op, R>(script: Script<Args, Op, R>, partition: number, args: Args, ops: readonly Op[] = []): Command {
    const { items, argv } = encodeCall(script, args, ops);
    const keys = script.fixedKeys.map((kind) => this.keys.fixed(kind, partition));
    for (const kind of script.itemKeys) for (const ref of items) keys.push(this.keys.item(kind, partition, ref));
    return ['EVALSHA', this.scripts.sha1(script), keys.length, ...keys, ...argv];
  }

  /** Removes keys of a closed partition that recovery writes anew. @throws the error of Redis. */
  async remove(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const reply = await this.connection.run(['DEL', ...names], COMMAND_TIMEOUT_MS);
    if (reply instanceof Error) throw reply;
  }

  /** Keys of the records of a partition, without its stock. */
  recordKeys(partition: number): string[] {
    return (['holds', 'claims', 'ids', 'due'] as const).map((kind) => this.keys.fixed(kind, partition));
  }

  /** Removes the stock and the buyers of all items of a closed partition. */
  async removeItems(partition: number): Promise<void> {
    for (const kind of ['stock', 'buyers'] as const)
      for await (const refs of itemRefs(this.connection, this.keys, partition, kind))
        for (let at = 0; at < refs.length; at += KEYS_AT_ONCE)
          await this.remove(refs.slice(at, at + KEYS_AT_ONCE).map((ref) => this.keys.item(kind, partition, ref)));
  }

  /** Closes a partition, whoever has opened it. */
  async fence(partition: number): Promise<void> {
    await this.connection.run(['HSET', this.keys.fixed('meta', partition), 'owner', ''], COMMAND_TIMEOUT_MS);
  }

  /** Whether Postgres has anything of the partition. */
  async isPersisted(partition: number): Promise<boolean> {
    const name = this.keys.fixed('meta', partition);
    const reply = await this.connection.run(['HGET', name, 'persisted'], COMMAND_TIMEOUT_MS);
    return textOf(reply) !== '';
  }

  async run<Args, Op, R>(
    script: Script<Args, Op, R>,
    partition: number,
    args: Args,
    ops: readonly Op[] = [],
  ): Promise<DecodedReply<R>> {
    const reply = await this.connection.run(this.command(script, partition, args, ops), COMMAND_TIMEOUT_MS);
    return read(script, reply, ops.length);
  }

  /** Calls of a partition in one write; they run in order. @throws the first error of Redis. */
  async runAll<Args, Op, R>(
    script: Script<Args, Op, R>,
    partition: number,
    args: Args,
    pages: readonly (readonly Op[])[],
  ): Promise<DecodedReply<R>[]> {
    const commands = pages.map((ops) => this.command(script, partition, args, ops));
    const replies = await this.connection.all(commands, PAGES_TIMEOUT_MS);
    return replies.map((reply, index) => {
      if (reply instanceof Error) throw reply;
      return read(script, reply, pages[index]!.length);
    });
  }

  /** The same call on many partitions at once; an error stands in its place. */
  async onEach<Args, R>(
    script: Script<Args, never, R>,
    partitions: readonly number[],
    args: Args,
  ): Promise<(DecodedReply<R> | Error)[]> {
    const replies = await this.connection.all(
      partitions.map((partition) => this.command(script, partition, args)),
      COMMAND_TIMEOUT_MS,
    );
    return replies.map((reply) => (reply instanceof Error ? reply : read(script, reply, 0)));
  }
}

function read<Args, Op, R>(script: Script<Args, Op, R>, reply: Reply, ops: number): DecodedReply<R> {
  if (!Array.isArray(reply)) throw new Error(`${script.name} answered something that is no reply`);
  const cells = reply.map((cell): ReplyValue => (typeof cell === 'number' ? cell : String(cell ?? '')));
  return decodeReply(script, cells, ops);
}

/** Calls of recovery's own scripts on one connection, past the batcher and its gates. */
import type { ItemKind, Keys } from '../keys.js';
import type { Connection, Reply } from '../redis/connection.js';
import type { LoadedScript, ScriptSet } from '../scripts/loading.js';
import { decodeReply, type DecodedReply, encodeCall, type ReplyValue, type Script } from '../scripts/script.js';
import { itemRefs } from '../partitions/dump.js';
import { textOf } from '../redis/nodes.js';
import { COMMAND_TIMEOUT_MS } from './inspect.js';

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

  /** Refs of all items of the partition that have stock, or have buyers; in pages. */
  itemRefs(partition: number, kind: ItemKind): AsyncGenerator<string[]> {
    return itemRefs(this.connection, this.keys, partition, kind);
  }

  /** Closes a partition, whoever has opened it. Late it does no harm: what it finds open is compared and opened anew. */
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

/** Partitions as workers and operators see them. The sweep is a domain's business and is added above. */
import type { Batcher } from '../batch/batcher.js';
import { EngineClosed, InvalidArgument, ShardUnavailable } from '../errors.js';
import type { Keys } from '../keys.js';
import { parsePosition } from '../redis/durable.js';
import type { Connection } from '../redis/connection.js';
import type { Link } from '../redis/link.js';
import { textOf } from '../redis/nodes.js';
import { partitionPersisted } from '../scripts/generated/partition-persisted.js';
import type {
  ItemRef,
  LogEvent,
  LogRequest,
  NodeMemory,
  PartitionDump,
  PartitionsApi,
  PartitionStatus,
  PersistedPosition,
  RecordNames,
} from '../types.js';
import { dumpPartition, readRecords } from './dump.js';
import { readLog, readLogs } from './log.js';
import { RecordError } from './records.js';

const COMMAND_TIMEOUT_MS = 2_000;
const COMMANDS_A_PARTITION = 3;

export class PartitionsFacade implements Omit<PartitionsApi, 'sweep'> {
  constructor(
    private readonly keys: Keys,
    private readonly batcher: Batcher,
  ) {}

  get count(): number {
    return this.keys.partitions.count;
  }

  of(item: ItemRef): number {
    return this.keys.partitions.of(`${item.location}:${item.sku}`);
  }

  async status(asked?: readonly number[]): Promise<PartitionStatus[]> {
    const wanted = asked && new Set(asked);
    const pages = await Promise.all(
      this.batcher.links.map((link) => {
        const { partitions } = link.master;
        return this.statusOf(link, wanted ? partitions.filter((one) => wanted.has(one)) : partitions).catch(() => []);
      }),
    );
    return pages.flat().sort((a, b) => a.partition - b.partition);
  }

  async memory(): Promise<NodeMemory[]> {
    const found = await Promise.all(this.batcher.links.map((link) => memoryOf(link).catch(() => [])));
    return found.flat();
  }

  async readLog(partition: number, after: { epoch: number; seq: number }, maxEvents: number): Promise<LogEvent[]> {
    return this.on(partition, (connection) => readLog(connection, this.keys, { partition, after, maxEvents }));
  }

  readLogs(requests: readonly LogRequest[]): Promise<LogEvent[]>[] {
    const answers = new Array<Promise<LogEvent[]>>(requests.length);
    const nodes = new Map<Link | undefined, number[]>();
    for (const [index, { partition }] of requests.entries()) {
      const link = this.batcher.linkOf(partition);
      const some = nodes.get(link);
      if (some) some.push(index);
      else nodes.set(link, [index]);
    }
    for (const indexes of nodes.values()) {
      const some = indexes.map((index) => requests[index]!);
      const reading = this.connection(some[0]!.partition).then((connection) => readLogs(connection, this.keys, some));
      for (const [at, index] of indexes.entries())
        answers[index] = this.guard(
          some[at]!.partition,
          reading.then((all) => all[at]!),
        );
    }
    return answers;
  }

  async markPersisted(partition: number, position: { epoch: number; seq: number }): Promise<void> {
    const args = { uptoEpoch: position.epoch, uptoSeq: position.seq };
    const { result } = await this.batcher.callOnce(partitionPersisted, partition, args, [], { ack: 'executed' });
    if (result[0]?.status === 'invalid_argument')
      throw new InvalidArgument('the position lies ahead of the log', { partition });
  }

  async publishPersisted(positions: readonly PersistedPosition[]): Promise<void> {
    const nodes = new Map<Link, string[][]>();
    for (const { partition, epoch, seq } of positions) {
      const link = this.batcher.linkOf(partition);
      if (!link) continue;
      const command = ['SPUBLISH', this.keys.fixed('persisted', partition), `${epoch}-${seq}`];
      const commands = nodes.get(link);
      if (commands) commands.push(command);
      else nodes.set(link, [command]);
    }
    await Promise.allSettled(
      [...nodes].map(async ([link, commands]) => (await link.controlConnection()).all(commands, COMMAND_TIMEOUT_MS)),
    );
  }

  async *dump(partition: number): AsyncGenerator<PartitionDump> {
    yield* dumpPartition(await this.connection(partition), this.keys, partition);
  }

  async read(partition: number, names: RecordNames): Promise<Required<PartitionDump>> {
    return this.on(partition, (connection) => readRecords(connection, this.keys, partition, names));
  }

  private async statusOf(link: Link, partitions: readonly number[]): Promise<PartitionStatus[]> {
    if (partitions.length === 0) return [];
    const { id } = link.master;
    const connection = await link.controlConnection();
    const commands = partitions.flatMap((partition) => [
      ['HMGET', this.keys.fixed('meta', partition), 'epoch', 'seq', 'owner', 'persisted'],
      ['XLEN', this.keys.fixed('log', partition)],
      ['ZRANGE', this.keys.fixed('due', partition), 0, 0, 'WITHSCORES'],
    ]);
    const replies = await connection.all(commands, COMMAND_TIMEOUT_MS);
    const found: PartitionStatus[] = [];
    for (const [index, partition] of partitions.entries()) {
      const at = index * COMMANDS_A_PARTITION;
      const [meta, length, due] = replies.slice(at, at + COMMANDS_A_PARTITION);
      if (!Array.isArray(meta)) continue;
      const [epoch, seq, owner, persisted] = meta.map(textOf);
      found.push({
        partition,
        node: id,
        epoch: Number(epoch),
        seq: Number(seq),
        open: owner === id && !this.batcher.isHeld(partition),
        persisted: parsePosition(persisted!) ?? { epoch: 0, seq: 0 },
        logLength: Number(length),
        nextDue: Array.isArray(due) && due.length > 1 ? Number(textOf(due[1])) : undefined,
      });
    }
    return found;
  }

  private async connection(partition: number): Promise<Connection> {
    if (this.batcher.closed) throw new EngineClosed();
    const link = this.batcher.linkOf(partition);
    if (!link) throw new ShardUnavailable('no node serves the partition', { partition });
    try {
      return await link.controlConnection();
    } catch (error) {
      throw new ShardUnavailable((error as Error).message, { partition, cause: error });
    }
  }

  private async on<T>(partition: number, work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.connection(partition);
    return this.guard(partition, work(connection));
  }

  private async guard<T>(partition: number, answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (error instanceof RecordError || error instanceof ShardUnavailable || error instanceof EngineClosed)
        throw error;
      throw new ShardUnavailable((error as Error).message, { partition, cause: error });
    }
  }
}

/** What the replicas' buffers take is not counted by Redis either when it decides whether memory is full. */
async function memoryOf(link: Link): Promise<NodeMemory[]> {
  const { id: node, partitions } = link.master;
  const connection = await link.controlConnection();
  const text = textOf(await connection.run(['INFO', 'memory'], COMMAND_TIMEOUT_MS));
  const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  const used = Math.max(0, field('used_memory') - field('mem_not_counted_for_evict'));
  return [{ node, partitions, used, limit: field('maxmemory') }];
}

/** Finds partitions that are open under an epoch older than one announced since: what is sold there is never persisted. */
import type { Keys } from '../keys.js';
import type { Connection } from '../redis/connection.js';
import { textOf } from '../redis/nodes.js';
import type { EngineOptions, PersistedSource } from '../types.js';
import { COMMAND_TIMEOUT_MS } from './inspect.js';

/**
 * Postgres takes what is written under such an epoch for that of a node that was cut off. A recovery takes a partition before it
 * announces an epoch, so that none opens under an earlier one afterwards; but one of an earlier version, or one without Postgres, asks
 * nobody. Such a partition is closed, and the next look opens it anew behind what was sold; nothing of it is lost.
 */
export class Announced {
  /** The epoch each partition was last compared under: once for each opening. */
  private readonly compared = new Map<number, number>();
  private readonly running = new Set<Connection>();

  constructor(
    private readonly source: PersistedSource,
    private readonly keys: Keys,
    private readonly notice: NonNullable<EngineOptions['onNotice']>,
  ) {}

  /**
   * Compares those that were opened since the last time. Never rejects: what cannot be asked now is asked with the next look.
   * @param epochs of the partitions that are open on the node, by partition
   */
  async look(connection: Connection, epochs: ReadonlyMap<number, number>): Promise<void> {
    if (this.running.has(connection)) return;
    this.running.add(connection);
    try {
      for (const [partition, epoch] of epochs) {
        if (this.compared.get(partition) === epoch) continue;
        const { announced = 0 } = await this.source.position(partition);
        if (announced > epoch) await this.close(connection, partition, epoch, announced);
        this.compared.set(partition, epoch);
      }
    } catch {
      // Postgres or the node is away: said elsewhere.
    } finally {
      this.running.delete(connection);
    }
  }

  private async close(connection: Connection, partition: number, epoch: number, announced: number): Promise<void> {
    const meta = this.keys.fixed('meta', partition);
    // Between the two looks it may have been opened under what is announced.
    const [present, owner] = (await connection.run(['HMGET', meta, 'epoch', 'owner'], COMMAND_TIMEOUT_MS)) as Buffer[];
    if (textOf(present) !== String(epoch) || textOf(owner) === '') return;
    await connection.run(['HSET', meta, 'owner', ''], COMMAND_TIMEOUT_MS);
    const message = 'a partition was open under an epoch older than the one announced, and is opened anew';
    this.notice({ level: 'warn', message, partition, epoch, announced });
  }
}

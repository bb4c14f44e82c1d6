/** What is persisted, kept in memory: stands in where a test is about recovery and not about Postgres. */
import type { PersistedSource, PersistedState } from '../../engine/types.js';

export class MemorySource implements PersistedSource {
  readonly positions = new Map<number, { epoch: number; seq: number; announced: number }>();
  readonly states = new Map<number, PersistedState[]>();
  readonly raised: { partition: number; epoch: number; seq: number }[] = [];
  readonly asked: { partition: number; seq: number }[] = [];
  private readonly locked = new Set<number>();

  async exclusively<T>(partition: number, work: () => Promise<T>): Promise<T | false> {
    if (this.locked.has(partition)) return false;
    this.locked.add(partition);
    try {
      return await work();
    } finally {
      this.locked.delete(partition);
    }
  }

  async position(partition: number) {
    return this.positions.get(partition) ?? { epoch: 0, seq: 0, announced: 0 };
  }

  async raiseEpoch(partition: number, epoch: number, seq: number): Promise<void> {
    const known = await this.position(partition);
    if (epoch <= known.announced || seq < known.seq) throw new Error(`epoch ${epoch} after ${seq} does not follow`);
    this.positions.set(partition, { ...known, announced: epoch });
    this.raised.push({ partition, epoch, seq });
  }

  async *changedSince(partition: number, seq: number): AsyncGenerator<PersistedState> {
    this.asked.push({ partition, seq });
    yield* this.states.get(partition) ?? [];
  }
}

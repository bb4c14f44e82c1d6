import type { PersistedSource, PersistedState } from '../../engine/types.js';

const EVERY_MS = 1_000;

const number = new Intl.NumberFormat('en-US');

/** A source that counts what is taken from it, for people who wait. */
export class Progress implements PersistedSource {
  private opened = 0;
  private records = 0;
  private said = '';
  private readonly startedAt = Date.now();
  private readonly timer: NodeJS.Timeout;

  /** @param say takes a line about once a second, when there is something new */
  constructor(
    private readonly source: PersistedSource,
    private readonly partitions: number,
    private readonly say: (line: string) => void,
  ) {
    this.timer = setInterval(() => this.tell(), EVERY_MS).unref();
  }

  /** Records taken so far. */
  get written(): number {
    return this.records;
  }

  get seconds(): number {
    return (Date.now() - this.startedAt) / 1_000;
  }

  stop(): void {
    clearInterval(this.timer);
  }

  async exclusively<T>(partition: number, work: () => Promise<T>): Promise<T | false> {
    const done = await this.source.exclusively(partition, work);
    if (done === 'open') this.opened++;
    return done;
  }

  position(partition: number): Promise<{ epoch: number; seq: number; announced?: number }> {
    return this.source.position(partition);
  }

  raiseEpoch(partition: number, epoch: number, seq: number, parent?: number): Promise<void> {
    return this.source.raiseEpoch(partition, epoch, seq, parent);
  }

  async *changedSince(partition: number, seq: number): AsyncGenerator<PersistedState> {
    for await (const page of this.source.changedSince(partition, seq)) {
      for (const rows of [page.items, page.holds, page.claims, page.ids, page.buyers])
        this.records += rows?.length ?? 0;
      yield page;
    }
  }

  private tell(): void {
    const line = `${this.opened} of ${this.partitions} partitions open, ${number.format(this.records)} records written`;
    if (line === this.said) return;
    this.said = line;
    this.say(`${line}, ${this.seconds.toFixed(0)} s`);
  }
}

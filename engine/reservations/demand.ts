/**
 * Sweeps asked for by calls that lack units which may only wait for one. (S9)
 *
 * At most one runs at a time in a partition, and one more stands ready for those who came while it ran: when the holds of a hot
 * item expire, thousands lack its units in the same moment, and one sweep serves them all.
 */
export class SweepsOnDemand {
  private readonly running = new Map<number, Promise<void>>();
  private readonly next = new Map<number, Promise<void>>();

  constructor(private readonly sweep: (partition: number) => Promise<unknown>) {}

  /** Resolves when a sweep that began after this call has ended. */
  swept(partition: number): Promise<void> {
    const next = this.next.get(partition);
    if (next) return next;
    const running = this.running.get(partition);
    if (!running) return this.start(partition);
    const begin = () => {
      this.next.delete(partition);
      return this.start(partition);
    };
    const then = running.then(begin, begin);
    this.next.set(partition, then);
    return then;
  }

  private start(partition: number): Promise<void> {
    const run = this.sweep(partition)
      .then(() => undefined)
      .finally(() => this.running.delete(partition));
    this.running.set(partition, run);
    return run;
  }
}

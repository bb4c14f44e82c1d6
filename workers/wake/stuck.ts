/**
 * Work that is asked for again and again and does not go on: the queue took its job, and nobody does it. A job's key that keeps others like
 * it out ends by the clock of the queue's Redis; a clock that was set forward and back again leaves it there for as long. (FAULTS 13, 20)
 */
export class Stuck {
  private readonly seen = new Map<string, { mark: string; since: number }>();

  /** @param stuckMs longer than a job keeps others like it out in good order */
  constructor(private readonly stuckMs: number) {}

  /**
   * Whether nothing has become of it for so long; then it is only told again after as long.
   * @param mark what is there to be done: another one where some of it was done
   * @param now ms of a clock that only grows
   */
  isStuck(key: string, mark: string, now: number): boolean {
    const known = this.seen.get(key);
    if (known?.mark === mark && now - known.since < this.stuckMs) return false;
    this.seen.set(key, { mark, since: now });
    return known?.mark === mark;
  }

  /** Nothing is to be done. */
  forget(key: string): void {
    this.seen.delete(key);
  }
}

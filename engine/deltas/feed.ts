/**
 * What a process knows of one partition's changes: how far it has followed them, and until when it may vouch for that.
 *
 * Every message says which events it covers, so a message whose predecessor was not seen shows a gap. Where nothing comes, the
 * partition's number in Redis is compared: a position not behind what was followed says that all changes until then are known.
 * Nothing else is trusted: that a subscription stands speeds things up, but proves nothing here.
 */

/** `next`: follows what is known. `old`: known already, a newer position was read before it came. `gap`: something is missing. */
export type Arrival = 'next' | 'old' | 'gap';

/** A position that messages have not reached for so long shows that they are lost. Generous: a false alarm costs reads. */
export const GRACE_MS = 300;

/** A partition that nobody has read from for so many comparisons is not compared any more. */
export const IDLE_COMPARISONS = 80;

export class Feed {
  epoch = -1;
  /** Number of the last event that is known. */
  seq = -1;
  /** Grows when anything may have been missed: what was known under an older number may be out of date. */
  generation = 0;
  /** By performance.now(): all changes made until then are known. */
  vouchedAt = -Infinity;
  /** Comparisons since somebody has read from the partition. */
  idle = IDLE_COMPARISONS;
  /** Since when messages are known without a gap, as a position. */
  private solid = -1;
  private ahead = -1;
  private aheadSince = 0;
  private aheadAsked = 0;

  constructor(readonly partition: number) {}

  /** A message has come that covers the events after `previous` up to `last`. */
  arrived(epoch: number, previous: number, last: number): Arrival {
    if (epoch < this.epoch) return 'old';
    if (epoch === this.epoch) {
      if (last <= this.seq) return 'old';
      if (previous === this.seq) {
        this.seq = last;
        this.caughtUp();
        return 'next';
      }
    }
    this.missed(epoch, last);
    return 'gap';
  }

  /**
   * A read that was sent at `askedAt` found the partition at this position. `following`: messages should be coming.
   * `gap`: something was missed; `old`: what was read may lack changes that are known; else it is safe to keep what was read.
   */
  found(epoch: number, seq: number, askedAt: number, following: boolean): 'kept' | 'old' | 'gap' {
    if (epoch < this.epoch) return 'old';
    if (epoch > this.epoch) {
      this.missed(epoch, seq);
      this.vouch(askedAt);
      return 'gap';
    }
    if (seq <= this.seq) {
      this.vouch(askedAt);
      return seq < this.solid ? 'old' : 'kept';
    }
    const now = performance.now();
    if (this.ahead < 0) {
      this.ahead = seq;
      this.aheadAsked = askedAt;
      this.aheadSince = now;
    }
    if (following && now - this.aheadSince < GRACE_MS) return 'kept';
    this.missed(epoch, seq);
    this.vouch(askedAt);
    return 'gap';
  }

  private missed(epoch: number, seq: number): void {
    this.generation++;
    this.epoch = epoch;
    this.seq = seq;
    this.solid = seq;
    this.ahead = -1;
  }

  private caughtUp(): void {
    if (this.ahead < 0 || this.seq < this.ahead) return;
    this.ahead = -1;
    this.vouch(this.aheadAsked);
  }

  private vouch(at: number): void {
    if (at > this.vouchedAt) this.vouchedAt = at;
  }
}

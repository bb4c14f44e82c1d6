/**
 * Sheds before it collapses (G4). What counts is not how many requests are under way but how long they take. When the mean of those
 * that end stays above the target for a whole interval, what arrives is a standing queue and no burst. From then on only as many are
 * let in as end within the target (Little's law: their rate times the target), the rest is refused at once, and those who were let
 * in keep their latency. When nobody had to be refused for an interval, everybody is let in again.
 *
 * The number under way says little by itself: answers of one script call come together, so it swings between none and all.
 * Few requests are never refused, whatever they wait for: a slow database is no overload.
 */

import type { Load } from '../limits/gate.js';

/** What may be under way, as a share of the limit: what ends a reservation gets in while new ones are refused. */
const SHARE: Readonly<Record<Load, number>> = { hold: 1, read: 1, write: 1.25, finish: 2 };
/** The same of `most`, which bounds memory. */
const SHARE_OF_MOST: Readonly<Record<Load, number>> = { hold: 1, read: 1, write: 1.05, finish: 1.1 };

/** As many may always be under way. */
const FLOOR = 256;
/** How long the queue must stand: an opening's burst passes sooner. */
const STANDING_MS = 100;
const LOOK_MS = 20;
/**
 * What waits for slow things and for nobody else is no queue: the target is never less than twice the time that requests took
 * without one. That time is the shortest mean of a look; it is forgotten within about a minute, but not while requests are
 * refused, because then every look is a look at the queue.
 */
const TIMES_UNQUEUED = 2;
/** But never more than so many times what is configured: a process may have begun in the middle of a flood. */
const TIMES_TARGET = 4;
const UNQUEUED_MS = 60_000;
/** A mean of fewer says little. */
const ENOUGH = 16;
/** Weight of the newest look at the rate. */
const SMOOTHING = 0.3;
/**
 * The best rate lately is what counts, forgotten by a fifth a second: refusing takes time too, so that the rate sinks while it is
 * being refused, and a limit that followed it would sink with it (measured: to a tenth).
 */
const FORGETTING = 0.995;

export interface AdmissionOptions {
  /** More are never under way; a tenth more where they end a reservation. */
  readonly most: number;
  /** Milliseconds that requests may take, or twice what they take without a queue, if that is longer; 0: only `most` counts. */
  readonly targetMs: number;
}

export class Admission {
  /** Refused so far. */
  refused = 0;
  private active = 0;
  /** Since the last look. */
  private ended = 0;
  private spentMs = 0;
  private most = 0;
  /** Requests that end in a millisecond: now, and at best lately. */
  private rate = 0;
  private best = 0;
  private lookedAt = 0;
  /** Milliseconds that requests take when they need not wait for each other. */
  private unqueued = 0;
  private lateSince: number | undefined;
  private refusedAt = 0;
  /** As many may be under way now. */
  limit: number;

  constructor(private readonly options: AdmissionOptions) {
    this.limit = options.most;
  }

  /** Some are refused although fewer than `most` are under way. */
  get shedding(): boolean {
    return this.limit < this.options.most;
  }

  /** False: it must be refused. Otherwise `leave` or `stand` follows. Times are of performance.now(). */
  enter(now: number, load: Load = 'hold'): boolean {
    if (now - this.lookedAt >= LOOK_MS) this.look(now);
    if (this.active >= this.limit && this.active >= this.room(load)) {
      this.refused++;
      this.refusedAt = now;
      return false;
    }
    this.active++;
    if (this.active > this.most) this.most = this.active;
    return true;
  }

  /** It has ended, after so long. */
  leave(ms: number): void {
    this.active--;
    this.ended++;
    this.spentMs += ms;
  }

  /** It goes on to wait for something that nobody else has to wait for meanwhile: it is not counted any more. */
  stand(): void {
    this.active--;
  }

  private room(load: Load): number {
    const { most } = this.options;
    return Math.min(Math.floor(this.limit * SHARE[load]), Math.floor(most * SHARE_OF_MOST[load]));
  }

  private look(now: number): void {
    const { ended, most } = this;
    const elapsed = now - this.lookedAt;
    if (ended >= ENOUGH) this.learn(this.spentMs / ended, elapsed);
    // After a rest there is no rate to smooth.
    this.rate = elapsed > STANDING_MS ? ended / elapsed : this.rate + SMOOTHING * (ended / elapsed - this.rate);
    this.best = Math.max(this.rate, this.best * FORGETTING ** (elapsed / LOOK_MS));
    const late = most > FLOOR && (ended === 0 || this.spentMs / ended > this.targetMs);
    this.lookedAt = now;
    this.ended = 0;
    this.spentMs = 0;
    this.most = this.active;
    if (this.options.targetMs === 0) return;
    if (this.shedding) {
      if (now - this.refusedAt > STANDING_MS) this.limit = this.options.most;
      else this.limit = this.fitting();
      this.lateSince = undefined;
    } else if (!late) this.lateSince = undefined;
    else if (this.lateSince === undefined) this.lateSince = now;
    else if (now - this.lateSince >= STANDING_MS) {
      this.limit = this.fitting();
      this.refusedAt = now;
    }
  }

  private fitting(): number {
    return Math.min(this.options.most, Math.max(FLOOR, Math.ceil(this.best * this.targetMs)));
  }

  private get targetMs(): number {
    const { targetMs } = this.options;
    return Math.max(targetMs, Math.min(TIMES_UNQUEUED * this.unqueued, TIMES_TARGET * targetMs));
  }

  private learn(meanMs: number, elapsed: number): void {
    if (this.unqueued === 0 || meanMs <= this.unqueued) this.unqueued = meanMs;
    else if (!this.shedding) this.unqueued += (meanMs - this.unqueued) * Math.min(1, elapsed / UNQUEUED_MS);
  }
}

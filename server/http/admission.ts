/**
 * Sheds before it collapses (G4). What counts is not how many requests are under way but how long they will take: by Little's law
 * that is their number divided by the rate at which requests end. When that stays above the target for a whole interval, what
 * arrives is a standing queue and no burst; from then on only as many are let in as end within the target, the rest is refused at
 * once, and those who were let in keep their latency.
 *
 * Few requests are never refused, whatever they wait for: a slow database is no overload.
 */

/** As many may always be under way. */
const FLOOR = 256;
/** How long the queue must stand: an opening's burst passes sooner. */
const STANDING_MS = 100;
const LOOK_MS = 20;
/** Weight of the newest look at the rate. */
const SMOOTHING = 0.3;

export interface AdmissionOptions {
  /** More are never under way. */
  readonly most: number;
  /** Milliseconds that requests may wait for each other; 0: only `most` counts. */
  readonly targetMs: number;
}

export class Admission {
  /** Refused so far. */
  refused = 0;
  private active = 0;
  private ended = 0;
  /** Requests that end in a millisecond. */
  private rate = 0;
  private lookedAt = 0;
  private lateSince: number | undefined;
  private limit: number;

  constructor(private readonly options: AdmissionOptions) {
    this.limit = options.most;
  }

  /** Whether it is refused while that many are let in. */
  get shedding(): boolean {
    return this.limit < this.options.most;
  }

  /** False: it must be refused. Otherwise `leave` follows, or `stand` and then nothing. */
  enter(now: number): boolean {
    if (now - this.lookedAt >= LOOK_MS) this.look(now);
    if (this.active >= this.limit) {
      this.refused++;
      return false;
    }
    this.active++;
    return true;
  }

  leave(): void {
    this.active--;
    this.ended++;
  }

  /** It goes on to wait for something that nobody else has to wait for meanwhile: it is not counted any more. */
  stand(): void {
    this.active--;
  }

  private look(now: number): void {
    const { most, targetMs } = this.options;
    const rate = this.ended / (now - this.lookedAt);
    // After a rest there is no rate to smooth.
    this.rate = now - this.lookedAt > STANDING_MS ? rate : this.rate + SMOOTHING * (rate - this.rate);
    this.lookedAt = now;
    this.ended = 0;
    if (targetMs === 0) return;
    const fits = Math.min(most, Math.max(FLOOR, Math.ceil(this.rate * targetMs)));
    if (this.shedding) {
      // As long as it is full, the queue would stand again at once.
      if (this.active < this.limit / 2) {
        this.limit = most;
        this.lateSince = undefined;
      } else this.limit = fits;
      return;
    }
    if (this.active <= fits) this.lateSince = undefined;
    else if (this.lateSince === undefined) this.lateSince = now;
    else if (now - this.lateSince >= STANDING_MS) this.limit = fits;
  }
}

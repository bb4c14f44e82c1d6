/** Looks at the sale from outside while it runs: the counts must add up at every moment, not only at its end. */
import type { Desk } from './desk.js';
import type { Level } from './shapes.js';

const EVERY_MS = 250;

export class Watch {
  level: Level;
  /** Events Postgres does not have yet, at the last look; and the most that was seen. */
  lag = 0;
  mostLag = 0;
  /** How often counts were looked at, and how often they did not add up. */
  looks = 0;
  wrong = 0;
  /** Looks that got no answer. */
  missed = 0;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();
  private readonly all: number;

  constructor(
    private readonly desk: Desk,
    private readonly before: Level,
  ) {
    this.level = before;
    this.all = before.available + before.reserved + before.sold;
  }

  start(): void {
    const again = (): void => {
      this.timer = setTimeout(() => {
        this.looking = this.look().finally(again);
      }, EVERY_MS);
    };
    again();
  }

  async stop(): Promise<void> {
    await this.looking;
    clearTimeout(this.timer);
  }

  /** Units sold in this sale. */
  get sold(): number {
    return this.level.sold - this.before.sold;
  }

  private async look(): Promise<void> {
    try {
      const [[level], lag] = await Promise.all([this.desk.levels([this.before]), this.desk.lag()]);
      if (lag !== undefined) [this.lag, this.mostLag] = [lag, Math.max(this.mostLag, lag)];
      this.level = level!;
      const { available, reserved, sold } = this.level;
      this.looks++;
      if (Math.min(available, reserved, sold) < 0 || available + reserved + sold !== this.all) this.wrong++;
    } catch {
      // The sale itself says what is wrong with the server.
      this.missed++;
    }
  }
}

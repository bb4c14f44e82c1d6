/**
 * A flood of refusals is paced. Those who ask again at once when they are refused take the processor from those who were let in:
 * refusing costs a quarter of carrying out, and nine tenths of that is the kernel's. So refusals beyond a rate that takes about an
 * eighth of a core wait a little for their answer, and what asks again at once is slowed down by it. Nobody waits longer than
 * `LONGEST_MS`, and who comes when so many wait already is refused without waiting: then it is no few that ask again and again.
 */

/** Refusals in a millisecond that need not wait: at 10 µs each, an eighth of a core. */
const RATE = 12;
/** So many may come at once after a rest. */
const BURST = 256;
const LONGEST_MS = 100;
const MOST = RATE * LONGEST_MS;
const TICK_MS = 4;

interface Waiting {
  readonly since: number;
  /** Undefined once the client has gone. */
  answer: (() => void) | undefined;
}

export class Pacing {
  private readonly waiting: Waiting[] = [];
  private first = 0;
  private tokens = BURST;
  private filledAt = 0;
  private timer: NodeJS.Timeout | undefined;

  /** True: answer now. */
  free(now: number): boolean {
    this.fill(now);
    if (this.size > 0) return this.size >= MOST;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }

  /** Answers later. @returns to be called when there is nobody any more to answer */
  later(now: number, answer: () => void): () => void {
    const entry: Waiting = { since: now, answer };
    this.waiting.push(entry);
    this.timer ??= setTimeout(this.tick, TICK_MS);
    return () => (entry.answer = undefined);
  }

  /** Those whose answer waits. */
  get size(): number {
    return this.waiting.length - this.first;
  }

  /** Answers those whose time has come, the first first. */
  release(now: number): void {
    this.fill(now);
    for (; this.size > 0; this.first += 1) {
      const { since, answer } = this.waiting[this.first]!;
      if (answer === undefined) continue;
      if (this.tokens < 1 && now - since < LONGEST_MS) break;
      this.tokens = Math.max(0, this.tokens - 1);
      answer();
    }
    if (this.size > 0 && this.first < MOST) return;
    this.waiting.splice(0, this.first);
    this.first = 0;
  }

  answerAll(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const { answer } of this.waiting.splice(0).slice(this.first)) answer?.();
    this.first = 0;
  }

  private fill(now: number): void {
    this.tokens = Math.min(BURST, this.tokens + (now - this.filledAt) * RATE);
    this.filledAt = now;
  }

  private readonly tick = (): void => {
    this.timer = undefined;
    this.release(performance.now());
    if (this.size > 0) this.timer = setTimeout(this.tick, TICK_MS);
  };
}

/** What is said once, when it comes up again at every turn. */

const EVERY_MS = 10_000;
/** Different ones that are remembered. */
const MOST = 1_000;

export class Seldom {
  private readonly said = new Map<string, { at: number; unsaid: number }>();

  constructor(
    private readonly everyMs = EVERY_MS,
    private readonly now: () => number = Date.now,
  ) {}

  /** @returns how often it has not been said since it was said last; undefined: it is not to be said now */
  say(key: string): number | undefined {
    const now = this.now();
    const known = this.said.get(key);
    if (known && now - known.at < this.everyMs) {
      known.unsaid++;
      return undefined;
    }
    if (this.said.size >= MOST) this.said.clear();
    this.said.set(key, { at: now, unsaid: 0 });
    return known?.unsaid ?? 0;
  }
}

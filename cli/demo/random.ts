/** Random numbers that can be repeated (mulberry32): what is simulated is the same in every run. */
export class Random {
  constructor(private state: number) {}

  /** 0 … 1, 1 left out. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number, both ends included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)]!;
  }

  /**
   * `count` of the kinds named by their shares and for the rest `otherwise`, in random order. Exact shares, and not a throw
   * for each: what has to come out is then sure and not only likely.
   */
  shares<K extends string>(count: number, shares: Readonly<Partial<Record<K, number>>>, otherwise: K): K[] {
    const kinds: K[] = [];
    for (const [kind, share] of Object.entries(shares) as [K, number][])
      for (let i = Math.round(count * share); i > 0 && kinds.length < count; i--) kinds.push(kind);
    while (kinds.length < count) kinds.push(otherwise);
    for (let i = kinds.length - 1; i > 0; i--) {
      const j = this.between(0, i);
      [kinds[i], kinds[j]] = [kinds[j]!, kinds[i]!];
    }
    return kinds;
  }
}

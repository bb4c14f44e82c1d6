/** The reservations of all buyers: what one of them holds, another may confirm, release or return, also while it is being made. */
import type { LineAsked } from '../history.js';
import type { Rng } from '../rng.js';

export interface Offered {
  readonly id: string;
  readonly lines: readonly LineAsked[];
}

/** So many of the latest are there to be chosen from: few enough that several choose the same at once. */
const OFFERED = 48;

export class Market {
  private readonly latest: Offered[] = [];

  /** One that is being made, or that somebody has done something with. */
  offer(id: string, lines: readonly LineAsked[]): void {
    const at = this.latest.findIndex((one) => one.id === id);
    if (at >= 0) this.latest.splice(at, 1);
    this.latest.push({ id, lines });
    if (this.latest.length > OFFERED) this.latest.shift();
  }

  pick(rng: Rng): Offered | undefined {
    return this.latest.length === 0 ? undefined : rng.pick(this.latest);
  }
}

/** What is sold in a run: few hot items, a tail, some with a limit for each buyer. */
import type { Rng } from '../rng.js';

export interface CatalogueItem {
  readonly ref: string;
  readonly stock: number;
  readonly buyerLimit?: number;
  /** How often it is chosen, relative to others. */
  readonly weight: number;
}

export interface Catalogue {
  readonly items: readonly CatalogueItem[];
  readonly buyers: readonly string[];
  pick(rng: Rng): CatalogueItem;
}

const HOT = 3;
const TAIL = 21;
const BUYERS = 30;

/** What everybody wants sells out again and again: little of it comes back at once. */
export function isHot(ref: string): boolean {
  return ref.includes(':hot-');
}

export function makeCatalogue(rng: Rng): Catalogue {
  const items: CatalogueItem[] = [];
  for (let n = 0; n < HOT; n++) items.push({ ref: `north:hot-${n}`, stock: rng.int(15, 80), weight: 16 });
  for (let n = 0; n < TAIL; n++) {
    const location = rng.pick(['north', 'south', 'west']);
    const buyerLimit = n % 5 === 0 ? rng.int(3, 6) : undefined;
    items.push({ ref: `${location}:tail-${n}`, stock: rng.int(40, 2_000), buyerLimit, weight: buyerLimit ? 5 : 2 });
  }
  const buyers = Array.from({ length: BUYERS }, (_, n) => `buyer-${n}`);
  const total = items.reduce((sum, { weight }) => sum + weight, 0);
  return {
    items,
    buyers,
    pick(by) {
      let at = by.next() * total;
      return items.find(({ weight }) => (at -= weight) < 0) ?? items[0]!;
    },
  };
}

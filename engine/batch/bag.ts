/**
 * What is under way, in no order. A Set would do but for the collector: when V8 makes it a new table, the old one keeps its entries
 * and a reference to the new one, so that once one has grown old, all that follow it, and the calls they name, grow old as well.
 */
export interface Bagged {
  /** Its place in the bag; -1 outside. */
  slot: number;
}

export class Bag<T extends Bagged> {
  private readonly things: T[] = [];

  get size(): number {
    return this.things.length;
  }

  /** A copy: what is done with them may take some out. */
  get all(): T[] {
    return this.things.slice();
  }

  add(thing: T): void {
    if (thing.slot >= 0) return;
    thing.slot = this.things.length;
    this.things.push(thing);
  }

  delete(thing: T): void {
    if (thing.slot < 0) return;
    const last = this.things.pop()!;
    if (last !== thing) {
      this.things[thing.slot] = last;
      last.slot = thing.slot;
    }
    thing.slot = -1;
  }
}

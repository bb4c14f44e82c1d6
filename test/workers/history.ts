import type { LogEvent } from '../../engine/types.js';
import { KIND } from '../../workers/kinds.js';

/** A seeded random number generator (mulberry32): histories can be repeated. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

interface Item {
  ref: string;
  available: number;
  reserved: number;
  sold: number;
  version: number;
  updatedAt: number;
  limited: boolean;
}

interface Line {
  item: Item;
  quantity: number;
  returned: number;
  counted: boolean;
}

interface Hold {
  id: string;
  state: number;
  deadline: number;
  fingerprint: number;
  attempt: number;
  buyer: string;
  resolvedAt: number;
  lines: Line[];
}

/**
 * A legal history of one partition, as docs/protocol.md says its log looks, and the state it leads to. Written apart from the Lua
 * and from the workers.
 */
export class History {
  readonly items: Item[] = [];
  readonly holds = new Map<string, Hold>();
  readonly events: LogEvent[] = [];
  epoch = 1;
  seq = 0;
  now = Date.UTC(2026, 10, 20);
  private names = 0;

  constructor(
    readonly partition: number,
    private readonly random: (below: number) => number,
    items = 8,
  ) {
    for (let n = 0; n < items; n++) {
      const item: Item = {
        ref: `loc-${n % 3}:sku-${partition}-${n}`,
        available: 0,
        reserved: 0,
        sold: 0,
        version: 0,
        updatedAt: 0,
        limited: n % 4 === 0,
      };
      this.items.push(item);
      this.move(item, 0, 0, 0);
      this.add(KIND.configured, item, '', 0, {
        detail: JSON.stringify(item.limited ? { buyerLimit: 500 } : { lowStock: null }),
      });
      this.restock(item, 1_000);
    }
  }

  /** One random operation: one script call with one time. */
  step(): void {
    this.now += this.random(3);
    const open = [...this.holds.values()].filter((hold) => hold.state === 1);
    const sold = [...this.holds.values()].filter((hold) => hold.state === 2);
    const pick = <T>(list: T[]): T | undefined => list[this.random(Math.max(1, list.length))];
    switch (this.random(12)) {
      case 0:
        return this.restock(this.items[this.random(this.items.length)]!, 1 + this.random(100));
      case 1:
        return this.deduct(this.items[this.random(this.items.length)]!);
      case 2:
        return this.extend(pick(open));
      case 3:
        return this.resolve(pick(open), KIND.released, 3);
      case 4:
        return this.resolve(pick(open), KIND.expired, 4);
      case 5:
        return this.abort(pick(open));
      case 6:
        return this.bringBack(pick(sold));
      case 7:
      case 8:
        return this.resolve(pick(open), KIND.confirmed, 2);
      default:
        this.hold();
    }
  }

  /** Recovery opened the partition anew. */
  openEpoch(): void {
    this.epoch++;
    this.push(KIND.epoch_opened, '', '', 0, {});
  }

  restock(item: Item, quantity: number): void {
    this.move(item, quantity, 0, 0);
    this.add(KIND.restocked, item, `in-${++this.names}`, quantity, {
      actor: 'admin "x\\y"',
      detail: 'delivery, "late"',
    });
  }

  hold(lines = 1 + this.random(3), quantity = 1 + this.random(3)): Hold {
    const id = `r-${this.partition}-${++this.names}`;
    const hold: Hold = {
      id,
      state: 1,
      deadline: this.now + 60_000,
      fingerprint: this.random(2 ** 31) * 2 ** 20 + this.random(2 ** 20),
      attempt: this.random(4) === 0 ? this.now : 0,
      buyer: `buyer-${this.random(5)}`,
      resolvedAt: 0,
      lines: [],
    };
    const first = this.random(this.items.length);
    for (let n = 0; n < Math.min(lines, this.items.length); n++) {
      const item = this.items[(first + n) % this.items.length]!;
      if (item.available < quantity) continue;
      hold.lines.push({ item, quantity, returned: 0, counted: item.limited });
      this.move(item, -quantity, quantity, 0);
      this.add(KIND.held, item, id, quantity, {
        ...this.about(hold),
        actor: hold.buyer,
        detail: item.limited ? 'limited' : '',
      });
      if (item.available === 0) this.add(KIND.sold_out, item, '', 0, {});
    }
    if (hold.lines.length > 0) this.holds.set(id, hold);
    return hold;
  }

  resolve(hold: Hold | undefined, kind: number, state: number): void {
    if (!hold) return;
    for (const { item, quantity } of hold.lines) {
      if (state === 2) this.move(item, 0, -quantity, quantity);
      else this.move(item, quantity, -quantity, 0);
      this.add(kind, item, hold.id, quantity, this.about(hold));
    }
    hold.state = state;
    hold.resolvedAt = this.now;
  }

  private abort(hold: Hold | undefined): void {
    if (!hold || hold.attempt === 0) return;
    this.resolve(hold, KIND.aborted, 3);
    this.holds.delete(hold.id);
  }

  private extend(hold: Hold | undefined): void {
    if (!hold) return;
    hold.deadline += 1_000;
    this.push(KIND.extended, '', hold.id, 0, this.about(hold));
  }

  private bringBack(hold: Hold | undefined): void {
    if (!hold) return;
    let moved = false;
    for (const line of hold.lines) {
      const more = this.random(line.quantity - line.returned + 1);
      if (more === 0) continue;
      moved = true;
      line.returned += more;
      this.move(line.item, more, 0, -more);
      this.add(KIND.returned, line.item, hold.id, more, this.about(hold));
    }
    if (!moved) return;
    if (hold.lines.every((line) => line.returned === line.quantity)) hold.state = 5;
    hold.resolvedAt = this.now;
  }

  private deduct(item: Item): void {
    if (item.available < 1) return;
    this.move(item, -1, 0, 1);
    this.add(KIND.deducted, item, `order-${++this.names}`, 1, {
      actor: 'buyer-1',
      detail: item.limited ? 'limited' : '',
    });
  }

  private about(hold: Hold) {
    return { deadline: hold.deadline, fingerprint: hold.fingerprint, attempt: hold.attempt };
  }

  private move(item: Item, available: number, reserved: number, sold: number): void {
    item.available += available;
    item.reserved += reserved;
    item.sold += sold;
    item.version += 1;
    item.updatedAt = this.now;
  }

  private add(kind: number, item: Item, id: string, quantity: number, more: Partial<LogEvent>): void {
    const { available, reserved, sold, version } = item;
    this.push(kind, item.ref, id, quantity, { available, reserved, sold, version, ...more });
  }

  private push(kind: number, ref: string, id: string, quantity: number, more: Partial<LogEvent>): void {
    this.events.push({
      partition: this.partition,
      epoch: this.epoch,
      seq: ++this.seq,
      at: this.now,
      kind,
      ref,
      id,
      quantity,
      actor: '',
      detail: '',
      available: 0,
      reserved: 0,
      sold: 0,
      version: 0,
      deadline: 0,
      fingerprint: 0,
      attempt: 0,
      ...more,
    });
  }
}

/** Cuts events into batches of random size that never part the events of one script call (same time). */
export function cut(events: readonly LogEvent[], random: (below: number) => number, most: number): LogEvent[][] {
  const batches: LogEvent[][] = [];
  for (let at = 0; at < events.length;) {
    let end = Math.min(events.length, at + 1 + random(most));
    while (end < events.length && events[end]!.at === events[end - 1]!.at) end++;
    batches.push(events.slice(at, end));
    at = end;
  }
  return batches;
}

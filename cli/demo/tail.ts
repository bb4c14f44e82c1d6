/** The long tail: ordinary orders over the whole catalogue, while the rush goes on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Shop } from './client.js';
import { type Figures, Tally } from './figures.js';
import { unexpected } from './hot.js';
import { HOLD_SECONDS, ORDERS, SHORT_HOLD_SECONDS } from './options.js';
import { Random } from './random.js';
import { type Line, type Reservation, nameOf } from './shapes.js';

export type Outcome = 'confirmed' | 'released' | 'expired' | 'refused' | 'returned' | 'partly returned';

type Manner = 'confirms' | keyof Pick<typeof ORDERS, 'releases' | 'abandons' | 'extends' | 'returns' | 'returnsOne'>;

interface Order {
  id: string | undefined;
  key: string;
  token: string;
  manner: Manner;
  lines: Line[];
  /** Milliseconds after the start. */
  arrives: number;
  thinks: number;
}

export interface TailOptions {
  shop: Shop;
  figures: Figures;
  /** What can be ordered. */
  items: readonly { location: string; sku: string }[];
  run: string;
  seed: number;
  signal?: AbortSignal;
}

/** Orders a second, about. */
const RATE = 300;
const LONGEST_MS = 20_000;

export class LongTail {
  readonly outcomes = new Tally();
  readonly refusals = new Tally();
  /** Orders with several lines, and those of them whose lines lie at several locations. */
  several = 0;
  locations = 0;
  /** Units by item that left for good, as the answers say: what the stock has to agree with in the end. */
  readonly sold = new Map<string, number>();
  /** Every item that an order named. */
  readonly touched = new Map<string, { location: string; sku: string }>();
  readonly lapsed: string[] = [];

  constructor(private readonly options: TailOptions) {}

  get done(): number {
    return this.outcomes.total;
  }

  async run(subs: readonly string[], tokens: readonly string[]): Promise<void> {
    const orders = this.plan(subs, tokens);
    await Promise.all(orders.map((order) => this.story(order)));
  }

  private plan(subs: readonly string[], tokens: readonly string[]): Order[] {
    const random = new Random(this.options.seed);
    const { releases, abandons, extends: extended, returns, returnsOne } = ORDERS;
    const shares = { releases, abandons, extends: extended, returns, returnsOne };
    const manners = random.shares<Manner>(subs.length, shares, 'confirms');
    const span = Math.min(LONGEST_MS, (subs.length / RATE) * 1_000);
    return subs.map((sub, i) => {
      const lines = this.basket(random);
      if (lines.length > 1) this.several++;
      if (new Set(lines.map((line) => line.location)).size > 1) this.locations++;
      for (const { location, sku } of lines) this.touched.set(`${location}:${sku}`, { location, sku });
      return {
        id: random.next() < ORDERS.ownId ? `${sub}-order` : undefined,
        key: `${this.options.run}-order`,
        token: `Bearer ${tokens[i]}`,
        manner: manners[i]!,
        lines,
        arrives: random.next() * span,
        thinks: random.between(20, 300),
      };
    });
  }

  /** Half of the orders are one line; some items are asked for far more often than others. */
  private basket(random: Random): Line[] {
    const { items } = this.options;
    const size = random.next();
    const length = size < 0.5 ? 1 : size < 0.85 ? random.between(2, 3) : random.between(4, 8);
    const lines = new Map<string, Line>();
    for (let i = 0; i < length; i++) {
      const item = items[Math.floor(random.next() ** 3 * items.length)]!;
      lines.set(nameOf(item), { ...item, quantity: random.next() < 0.8 ? 1 : random.between(2, 6) });
    }
    return [...lines.values()];
  }

  private async story(order: Order): Promise<void> {
    try {
      await this.pause(order.arrives);
      this.outcomes.add(await this.live(order));
    } catch (error) {
      if (this.options.signal?.aborted) return;
      this.options.figures.errors.add((error as Error).message);
    }
  }

  private async live(order: Order): Promise<Outcome> {
    const held = await this.options.shop.call<Reservation>({
      kind: 'reserve',
      method: 'POST',
      path: '/v1/reservations',
      token: order.token,
      key: order.key,
      body: {
        reservationId: order.id,
        lines: order.lines,
        holdSeconds: order.manner === 'abandons' ? SHORT_HOLD_SECONDS : HOLD_SECONDS,
      },
    });
    if (held.status !== 201) {
      this.refusals.add(held.code);
      if (held.code === 'insufficient_stock') return 'refused';
      // The server fell over after holding the units, and the repetition was answered past the deadline.
      if (held.code === 'hold_expired') return 'expired';
      throw unexpected('reserve', held);
    }
    const id = held.body.reservationId;
    if (order.manner === 'abandons') {
      this.lapsed.push(id);
      await this.pause(SHORT_HOLD_SECONDS * 1_000);
      return 'expired';
    }
    await this.pause(order.thinks);
    if (order.manner === 'releases') return this.step('release', order, id, 'released');
    if (order.manner === 'extends') await this.step('extend', order, id, 'held', { holdSeconds: 2 * HOLD_SECONDS });
    await this.step('confirm', order, id, 'confirmed');
    this.count(order.lines, 1);
    if (order.manner !== 'returns' && order.manner !== 'returnsOne') return 'confirmed';
    await this.pause(order.thinks);
    return this.bringBack(order, id);
  }

  private async bringBack(order: Order, id: string): Promise<Outcome> {
    const [first] = order.lines;
    // One unit of an order of one unit is all of it.
    const all = order.manner === 'returns' || (order.lines.length === 1 && first!.quantity === 1);
    const lines = all ? order.lines : [{ ...first!, quantity: 1 }];
    const body = all ? undefined : { lines };
    await this.step('return', order, id, all ? 'returned' : 'confirmed', body);
    this.count(lines, -1);
    return all ? 'returned' : 'partly returned';
  }

  /** One change of a reservation that has to succeed and to leave it in `status`. */
  private async step<S extends Reservation['status']>(
    kind: 'confirm' | 'release' | 'extend' | 'return',
    order: Order,
    id: string,
    status: S,
    body?: unknown,
  ): Promise<S> {
    const path = `/v1/reservations/${id}/${kind}`;
    const answer: Answer<Reservation> = await this.options.shop.call<Reservation>({
      kind,
      method: 'POST',
      path,
      token: order.token,
      ...(body === undefined ? {} : { body }),
    });
    if (answer.status === 200 && answer.body.status === status) return status;
    throw unexpected(kind, answer);
  }

  private count(lines: readonly Line[], sign: 1 | -1): void {
    for (const line of lines) {
      const name = nameOf(line);
      this.sold.set(name, (this.sold.get(name) ?? 0) + sign * line.quantity);
    }
  }

  private pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.options.signal });
  }
}

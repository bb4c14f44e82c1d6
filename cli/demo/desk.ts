/** The operator's side: counts straight from the store, corrections, how far Postgres is. Not part of what is measured. */
import { Shop, Unexpected } from './client.js';
import { Figures } from './figures.js';
import { type Level, type Reservation, stockPath } from './shapes.js';
import type { Item } from './prepare.js';

/** Items one request may ask for. */
const PAGE = 500;
const SOCKETS = 4;

export interface Movement {
  kind: string;
  quantity: number;
  version: number;
}

interface PartitionsAnswer {
  count: number;
  open: number;
  lag: number;
}

export class Desk {
  private readonly shop: Shop;

  constructor(
    url: string,
    private readonly token: string,
    readonly signal?: AbortSignal,
  ) {
    this.shop = new Shop(url, SOCKETS, new Figures(), signal);
  }

  /** Fresh counts, in the order asked. */
  async levels(items: readonly Item[]): Promise<Level[]> {
    const levels: Level[] = [];
    for (let i = 0; i < items.length; i += PAGE) {
      const asked = items.slice(i, i + PAGE).map(({ location, sku }) => [location, sku]);
      const found = await this.ask<{ items: (Level & { code?: string })[] }>('POST', '/v1/stock/query?fresh=true', {
        items: asked,
      });
      levels.push(...found.items);
    }
    const unknown = levels.find((level) => (level as { code?: string }).code !== undefined);
    if (unknown) throw new Unexpected(`${unknown.location}:${unknown.sku} is not there`);
    return levels;
  }

  async adjust(item: Item, body: { countedTo: number; reason: string; movementId: string }): Promise<void> {
    await this.ask('POST', `${stockPath(item)}/adjust`, body);
  }

  /** Events that Postgres does not have yet; undefined while not every partition can be asked. */
  async lag(): Promise<number | undefined> {
    const { count, open, lag } = await this.ask<PartitionsAnswer>('GET', '/v1/admin/partitions');
    return open === count ? lag : undefined;
  }

  /** What a reservation is by now. */
  async statusOf(reservationId: string): Promise<Reservation['status']> {
    return (await this.ask<Reservation>('GET', `/v1/reservations/${reservationId}`)).status;
  }

  /** The audit trail of an item, from Postgres, page by page. (S7) */
  async *movements(item: Item): AsyncGenerator<Movement> {
    let after = '';
    for (;;) {
      const path = `${stockPath(item)}/movements?limit=1000${after}`;
      const page = await this.ask<{ items: Movement[]; next: string | null }>('GET', path);
      yield* page.items;
      if (page.next === null) return;
      after = `&after=${page.next}`;
    }
  }

  close(): Promise<void> {
    return this.shop.close();
  }

  private async ask<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const token = `Bearer ${this.token}`;
    const answer = await this.shop.call<T>({ kind: 'look', method, path, token, ...(body ? { body } : {}) });
    if (answer.status === 200) return answer.body;
    const { detail } = answer.body as { detail?: string };
    throw new Unexpected(`${method} ${path.split('?')[0]}: ${answer.status} ${answer.code} ${detail ?? ''}`);
  }
}

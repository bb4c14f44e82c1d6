/** The rush: everybody wants one unit of the same item at the same moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Shop, Unexpected } from './client.js';
import { type Figures, Tally } from './figures.js';
import { BUYERS, HOLD_SECONDS, SHORT_HOLD_SECONDS } from './options.js';
import { Random } from './random.js';
import { type Level, type Line, type Reservation, stockPath } from './shapes.js';

/** How a buyer's story ends. Every buyer has exactly one of these in the end, or the demo has failed. */
export type Fate = 'bought' | 'released' | 'expired' | 'refused';

type Manner = 'buys' | 'releases' | 'abandons' | 'persists';

interface Buyer {
  id: string;
  token: string;
  manner: Manner;
  looks: boolean;
  /** Milliseconds between getting the unit and deciding. */
  thinks: number;
  /** Of those who abandon: comes back after the deadline and wants to pay after all. */
  comesBack: boolean;
}

/** Persistent buyers look again after about this long. */
const LOOK_AGAIN_MS = 700;
/** After this they have waited long enough; the demo then says what is wrong. */
const PATIENCE_MS = 90_000;
/** Past the deadline for certain: the server's clock is this machine's, its answers are in whole milliseconds. */
const PAST_DEADLINE_MS = SHORT_HOLD_SECONDS * 1_000 + 250;

export interface HotOptions {
  /** Connections of those who look and press "buy". */
  crowd: Shop;
  /** Connections of those who have a unit. */
  till: Shop;
  figures: Figures;
  item: { location: string; sku: string };
  /** Tells this run's ids from those of every other. */
  run: string;
  seed: number;
  signal?: AbortSignal;
}

export class HotSale {
  readonly fates = new Tally();
  /** Refusing answers by code; a buyer who tries again may get several. */
  readonly refusals = new Tally();
  /** Buyers who were refused and wait for something to come back. */
  waiting = 0;
  /** Reservations that were left to lapse. */
  readonly lapsed: string[] = [];

  constructor(private readonly options: HotOptions) {}

  get known(): number {
    return this.fates.total;
  }

  /** All buyers at once; resolves when each has a fate. Tokens in the order of the buyers' ids. */
  async run(ids: readonly string[], tokens: readonly string[]): Promise<void> {
    const random = new Random(this.options.seed);
    const { releases, abandons, persists, looks } = BUYERS;
    const manners = random.shares<Manner>(ids.length, { releases, abandons, persists }, 'buys');
    const buyers = ids.map((id, i): Buyer => ({
      id,
      token: `Bearer ${tokens[i]}`,
      manner: manners[i]!,
      looks: random.next() < looks,
      thinks: random.between(50, 400),
      comesBack: random.next() < 0.5,
    }));
    await Promise.all(buyers.map((buyer) => this.story(buyer)));
  }

  private async story(buyer: Buyer): Promise<void> {
    try {
      this.fates.add(await this.live(buyer));
    } catch (error) {
      if (this.options.signal?.aborted) return;
      this.options.figures.errors.add((error as Error).message);
    }
  }

  private async live(buyer: Buyer): Promise<Fate> {
    if (buyer.looks) {
      await this.look();
      await this.pause(buyer.thinks);
    }
    const pressed = performance.now();
    let held = await this.reserve(buyer, 1);
    this.options.figures.known(pressed);
    if (held === undefined && buyer.manner === 'persists') held = await this.keepTrying(buyer);
    if (held === undefined) return 'refused';
    if (held === 'lapsed') return 'expired';
    if (buyer.manner === 'abandons') return this.abandon(buyer, held);
    await this.pause(buyer.thinks);
    return this.decide(buyer, held);
  }

  /**
   * The reservation; undefined where there was nothing left; `lapsed` where the server fell over after holding the unit and the
   * answer to a repetition came past the deadline. Everything else is nothing a buyer should be told.
   */
  private async reserve(buyer: Buyer, attempt: number): Promise<Reservation | 'lapsed' | undefined> {
    const { crowd, item, run } = this.options;
    const line: Line = { ...item, quantity: 1 };
    const answer = await crowd.call<Reservation>({
      kind: 'reserve',
      method: 'POST',
      path: '/v1/reservations',
      token: buyer.token,
      key: `${run}-${attempt}`,
      body: { lines: [line], holdSeconds: buyer.manner === 'abandons' ? SHORT_HOLD_SECONDS : HOLD_SECONDS },
    });
    if (answer.status === 201) return answer.body;
    this.refusals.add(answer.code);
    if (answer.code === 'insufficient_stock') return undefined;
    if (answer.code === 'hold_expired') return 'lapsed';
    throw unexpected('reserve', answer);
  }

  /** Watches the stock while units are held by others, and tries again whenever one comes back. */
  private async keepTrying(buyer: Buyer): Promise<Reservation | 'lapsed' | undefined> {
    const until = performance.now() + PATIENCE_MS;
    this.waiting++;
    try {
      for (let attempt = 2; performance.now() < until;) {
        await this.pause(LOOK_AGAIN_MS * (0.5 + Math.random()));
        const { available, reserved } = await this.look();
        // Nothing on the shelf and nothing held: what is sold does not come back, nobody needs to wait for it.
        if (available === 0 && reserved === 0) return undefined;
        if (available === 0) continue;
        const held = await this.reserve(buyer, attempt++);
        if (held !== undefined) return held;
      }
    } finally {
      this.waiting--;
    }
    throw new Unexpected(`stock still held after ${PATIENCE_MS / 1_000} s`);
  }

  private async decide(buyer: Buyer, { reservationId }: Reservation): Promise<Fate> {
    if (buyer.manner === 'releases') {
      const answer = await this.act('release', buyer, reservationId);
      if (answer.status === 200 && answer.body.status === 'released') return 'released';
      throw unexpected('release', answer);
    }
    const answer = await this.act('confirm', buyer, reservationId);
    if (answer.status === 200 && answer.body.status === 'confirmed') return 'bought';
    throw unexpected('confirm', answer);
  }

  /** Leaves without a word. Some come back after the deadline to pay, and must be told that it is over. */
  private async abandon(buyer: Buyer, { reservationId }: Reservation): Promise<Fate> {
    this.lapsed.push(reservationId);
    await this.pause(PAST_DEADLINE_MS);
    if (!buyer.comesBack) return 'expired';
    const answer = await this.act('confirm', buyer, reservationId);
    this.refusals.add(answer.code || String(answer.status));
    if (answer.status === 410 && answer.code === 'hold_expired') return 'expired';
    throw unexpected('confirm past the deadline', answer);
  }

  private act(kind: 'confirm' | 'release', { token }: Buyer, id: string): Promise<Answer<Reservation>> {
    const path = `/v1/reservations/${id}/${kind}`;
    return this.options.till.call<Reservation>({ kind, method: 'POST', path, token });
  }

  private async look(): Promise<Level> {
    const answer = await this.options.crowd.call<Level>({
      kind: 'look',
      method: 'GET',
      path: stockPath(this.options.item),
    });
    if (answer.status !== 200) throw unexpected('look', answer);
    return answer.body;
  }

  private pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.options.signal });
  }
}

export function unexpected(what: string, { status, code, body }: Answer<unknown>): Unexpected {
  const state = (body as Partial<Reservation>).status;
  return new Unexpected(`${what}: ${[status, code, code === '' ? state : ''].filter(Boolean).join(' ')}`);
}

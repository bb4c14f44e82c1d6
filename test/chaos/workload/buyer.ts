/** One client: makes up what to do next from the seed and from what it has been told so far. */
import type { Ack, Answer, Call, LineAsked, Op, Request } from '../history.js';
import type { Rng } from '../rng.js';
import { type Catalogue, isHot } from './catalogue.js';
import type { Market, Offered } from './market.js';
import { takes } from './stream.js';

/** A reservation this client knows of. */
interface Known {
  readonly id: string;
  readonly lines: readonly LineAsked[];
  state: 'held' | 'confirmed' | 'over';
}

/** What to send next. */
export interface Intent {
  readonly request: Request;
  readonly wanted: Ack;
  readonly key?: string;
  readonly because?: Call['because'];
  /** What another client asks another server for at the same moment: the same, or the opposite. Under the same key where it is the same. */
  readonly beside?: Request;
}

/** At most so many reservations are kept in mind. */
const REMEMBERED = 40;
/** An unknown call is asked again so often at most, and left in the dark then. */
const RETRIES = 6;
/** Of what follows a reservation, so much is about one that anybody may have made, whatever has become of it. */
const OF_OTHERS = 0.15;
/** So often the same is asked for twice at the same moment; and the opposite, where there is one. */
const TWICE = 0.04;
const OPPOSED = 0.15;

const OPPOSITES: Partial<Record<Op, 'confirm' | 'release'>> = { confirm: 'release', release: 'confirm' };

export class Buyer {
  private readonly known: Known[] = [];
  private readonly done: Intent[] = [];
  private pending: { intent: Intent; tries: number } | undefined;
  private serial = 0;

  constructor(
    readonly name: string,
    private readonly rng: Rng,
    private readonly catalogue: Catalogue,
    /** What it calls by as far as that goes. The stream knows no keys: ids alone make repeating safe there. */
    readonly speaks: Call['over'],
    private readonly market: Market,
  ) {}

  next(): Intent {
    if (this.pending) return { ...this.pending.intent, because: 'retry' };
    const { rng } = this;
    if (this.done.length > 0 && rng.chance(0.06)) return { ...rng.pick(this.done), because: 'again' };
    if (this.done.length > 0 && rng.chance(0.03)) {
      const other = this.otherContent(rng.pick(this.done));
      if (other) return other;
    }
    const intent = { wanted: this.ack(), ...this.fresh() };
    if (intent.request.op === 'reserve' && intent.request.id !== undefined)
      this.market.offer(intent.request.id, intent.request.lines);
    return { ...intent, beside: this.beside(intent) };
  }

  /** Asked for at the same moment by somebody else. Only what has an id or a key is the same. */
  private beside({ request, key }: Intent): Request | undefined {
    const { rng } = this;
    if (request.op === 'read' || request.op === 'find') return undefined;
    const opposite = OPPOSITES[request.op];
    if (opposite && rng.chance(OPPOSED)) return { op: opposite, id: request.id! };
    const known = request.id !== undefined || key !== undefined;
    return known && rng.chance(TWICE) ? request : undefined;
  }

  /** Learns from the answer. Returns ms to wait before going on. */
  learn(intent: Intent, answer: Answer): number {
    const { rng } = this;
    if (answer.outcome === 'unknown' || answer.code === 'idempotency_in_flight') {
      const tries = (this.pending?.tries ?? 0) + 1;
      const giveUp = intent.because === 'other' || tries > RETRIES || rng.chance(0.1);
      this.pending = giveUp
        ? undefined
        : { intent: { ...byId(intent, answer), because: undefined, beside: undefined }, tries };
      return 50 * tries;
    }
    const retried = this.pending !== undefined;
    this.pending = undefined;
    if (answer.outcome === 'failed') {
      this.refused(intent.request, answer.code);
      // What cannot be done now is left for a moment, as a client with manners does.
      return answer.status === 503 || answer.status === 0 ? rng.int(50, 300) : 0;
    }
    if (intent.because !== 'other') this.succeeded(intent, answer, retried);
    return 0;
  }

  private ack(): Ack {
    const dice = this.rng.next();
    return dice < 0.45 ? 'replicated' : dice < 0.75 ? 'executed' : 'durable';
  }

  private id(kind: string): string {
    return `${this.name}-${kind}${this.serial++}`;
  }

  private fresh(): { request: Request; key?: string } {
    const { rng } = this;
    const dice = rng.int(1, 100);
    const about = dice <= 42 ? this.about(dice) : undefined;
    if (about) return dice <= 39 ? this.keyed(about) : { request: about };
    if (dice <= 50) return { request: this.read() };
    const { ref } = this.catalogue.pick(rng);
    if (dice <= 60) {
      const [id, quantity, buyer] = [this.id('o'), rng.int(1, 3), rng.pick(this.catalogue.buyers)];
      return this.keyed({ op: 'deduct', id, ref, quantity, buyer });
    }
    if (dice <= 64)
      return this.keyed({ op: 'restock', id: this.id('m'), ref, quantity: rng.int(1, isHot(ref) ? 4 : 40) });
    if (dice <= 67) return this.keyed(this.adjust(ref));
    return this.reserve();
  }

  /** Something about a reservation: one of its own in a state that fits, or anybody's in whatever state. */
  private about(dice: number): Request | undefined {
    const { rng } = this;
    const foreign = rng.chance(OF_OTHERS) ? this.market.pick(rng) : undefined;
    const one = (states?: readonly Known['state'][]): Offered | undefined => {
      // Now and then also of its own what cannot be done any more.
      const own = this.known.filter(({ state }) => !states || states.includes(state) || rng.chance(0.02));
      return foreign ?? (own.length > 0 ? rng.pick(own) : undefined);
    };
    const chosen = dice <= 35 ? one(['held']) : dice <= 39 ? one(['confirmed']) : one();
    if (!chosen) return undefined;
    const { id } = chosen;
    if (dice <= 20) return { op: 'confirm', id };
    if (dice <= 30) return { op: 'release', id };
    if (dice <= 35) return { op: 'extend', id, holdSeconds: rng.pick([2, 5, 60]) };
    return dice <= 39 ? this.giveBack(chosen) : { op: 'find', id };
  }

  private adjust(ref: string): Request {
    const id = this.id('a');
    const { rng } = this;
    if (rng.chance(0.3)) return { op: 'adjust', id, ref, countedTo: isHot(ref) ? rng.int(10, 40) : rng.int(100, 400) };
    return { op: 'adjust', id, ref, by: rng.pick([-3, -2, -1, 1, 2, 5, 9]) };
  }

  private read(): Request {
    const { rng } = this;
    const count = rng.chance(0.7) ? 1 : rng.int(2, 6);
    const refs = [...new Set(Array.from({ length: count }, () => this.catalogue.pick(rng).ref))];
    return { op: 'read', refs, fresh: refs.length === 1 && rng.chance(0.4) };
  }

  private reserve(): { request: Request; key?: string } {
    const { rng } = this;
    const count = rng.chance(0.6) ? 1 : rng.int(2, 4);
    const refs = [...new Set(Array.from({ length: count }, () => this.catalogue.pick(rng).ref))];
    const lines = refs.map((ref) => ({ ref, quantity: rng.int(1, 2) }));
    const holdSeconds = rng.pick([1, 1, 2, 3, 5, 30, 600, 3_600]);
    // Left to the server, the id's home is where the stock lies; chosen by the client, it is anywhere.
    if (rng.chance(0.5)) {
      // A buyer of its own is how an unanswered one is found again.
      const buyer = this.id('alone');
      const request = { op: 'reserve', buyer, lines, holdSeconds } as const;
      return this.speaks === 'stream' ? { request } : { request, key: this.id('k') };
    }
    return this.keyed({ op: 'reserve', id: this.id('r'), buyer: rng.pick(this.catalogue.buyers), lines, holdSeconds });
  }

  private giveBack({ id, lines }: Offered): Request {
    const { rng } = this;
    if (rng.chance(0.5)) return { op: 'return', id };
    const { ref, quantity } = rng.pick(lines);
    return { op: 'return', id, lines: [{ ref, quantity: rng.int(1, quantity) }] };
  }

  private keyed(request: Request): { request: Request; key?: string } {
    const keyless = this.speaks === 'stream' && takes(request);
    return this.rng.chance(0.4) && !keyless ? { request, key: this.id('k') } : { request };
  }

  /** The same id for something else; under the same key too where there was one, and sometimes without. */
  private otherContent({ request, key, wanted }: Intent): Intent | undefined {
    const changed = this.changed(request);
    if (!changed) return undefined;
    const needsKey = request.op === 'reserve' && request.id === undefined;
    if (needsKey && key === undefined) return undefined;
    return {
      request: changed,
      wanted,
      because: 'other',
      ...(key && (needsKey || this.rng.chance(0.5)) ? { key } : {}),
    };
  }

  private changed(request: Request): Request | undefined {
    switch (request.op) {
      case 'reserve':
        return { ...request, lines: request.lines.map((line) => ({ ...line, quantity: line.quantity + 1 })) };
      case 'deduct':
      case 'restock':
        return { ...request, quantity: request.quantity + 1 };
      case 'adjust':
        return { op: 'adjust', id: request.id, ref: request.ref, by: (request.by ?? 20) + 1 };
      default:
        return undefined;
    }
  }

  private succeeded(intent: Intent, answer: Answer, retried: boolean): void {
    const { request } = intent;
    if (request.op === 'read' || request.op === 'find') return;
    const again = { ...byId(intent, answer), because: undefined, beside: undefined };
    if (this.done.length < REMEMBERED) this.done.push(again);
    else if (this.rng.chance(0.2) || retried) this.done[this.rng.int(0, REMEMBERED - 1)] = again;
    if (request.op === 'reserve') {
      const { reservationId: id, status } = answer.body as { reservationId: string; status: string };
      if (status !== 'held' || this.known.some((one) => one.id === id)) return;
      if (this.known.length >= REMEMBERED) this.known.shift();
      this.known.push({ id, lines: request.lines, state: 'held' });
      this.market.offer(id, request.lines);
    } else if (request.op === 'confirm') this.mark(request.id, 'confirmed');
    else if (request.op === 'release') this.mark(request.id, 'over');
    else if (request.op === 'return' && this.rng.chance(0.5)) this.mark(request.id, 'over');
  }

  private refused(request: Request, code: string | undefined): void {
    const gone = ['hold_expired', 'reservation_not_found', 'reservation_released', 'reservation_returned'];
    if ('id' in request && request.id && code && gone.includes(code)) this.mark(request.id, 'over');
  }

  private mark(id: string, state: Known['state']): void {
    const known = this.known.find((one) => one.id === id);
    if (known) known.state = state;
  }
}

/** Without a key, the id that the client or the server has made is what to ask again by, once it is known. */
function byId(intent: Intent, answer: Answer): Intent {
  const { request, key } = intent;
  const id = (answer.body as { reservationId?: string } | undefined)?.reservationId;
  if (request.op !== 'reserve' || request.id !== undefined || key !== undefined || id === undefined) return intent;
  return { ...intent, request: { ...request, id } };
}

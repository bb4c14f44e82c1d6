/** What of a call is in the ledger. */
import { partitionOf } from '../final/redis.js';
import { keyOf, type Movement } from '../final/types.js';
import type { Call, LineAsked, Request } from '../history.js';
import { contentOf } from './keys.js';
import { KIND, STATE, SWEEP_ACTOR } from './kinds.js';
import type { ClaimLife, Life, Model } from './model.js';

export interface Effects {
  /** The id a call was about; undefined where the client never learned it and nothing of it is there. */
  idOf(call: Call): string | undefined;
  /** The reservation that was made under the id, if one was: alone in its home, or as a claim that was sealed. */
  reservation(id: string): Made | undefined;
  /** Whether what an `ok` answer says is in the ledger. Undefined: it is; else one sentence why not. */
  missing(call: Call): string | undefined;
  /** The events that carry out the request under its id, in order; none where it was not carried out. */
  decisive(id: string, request: Request): Movement[];
  readonly partitions: number;
}

export interface Made {
  readonly id: string;
  readonly alone?: Life;
  readonly claim?: ClaimLife;
  readonly buyer: string;
  readonly lines: readonly LineAsked[];
  readonly deadlines: readonly number[];
  /** The parts of the claim in their partitions, as far as they are there; or the one life. */
  readonly parts: readonly Life[];
}

interface ReservationBody {
  readonly reservationId: string;
  readonly status: string;
  readonly expiresAt: string;
  /** The stream leaves them out. */
  readonly lines?: readonly { location: string; sku: string; quantity: number; returned: number }[];
}

interface LevelBody {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
}

export function effectsOf(model: Model, calls: readonly Call[], partitions: number): Effects {
  return new Reading(model, calls, partitions);
}

/** What calls have in common that are about the same reservation, of which they name no id. */
const askedFor = (call: Call): string => (call.key === undefined ? `${call.n}` : `${call.key} ${contentOf(call)}`);

class Reading implements Effects {
  /** Ids that the server or the client made, by key, whoever sent it, or call; and by the buyer that no other call has. */
  private readonly made = new Map<string, string>();

  constructor(
    private readonly model: Model,
    calls: readonly Call[],
    readonly partitions: number,
  ) {
    const buyers = new Map<string, string>();
    for (const lives of model.holds.values()) for (const { buyer, id } of lives) buyers.set(buyer, id);
    for (const lives of model.claims.values()) for (const { buyer, id } of lives) buyers.set(buyer, id);
    for (const call of calls) {
      const { request, answer } = call;
      if (request.op !== 'reserve' || request.id !== undefined) continue;
      const told = (answer?.body as { reservationId?: string } | undefined)?.reservationId;
      const asked = askedFor(call);
      const id = told ?? this.made.get(asked) ?? buyers.get(request.buyer);
      if (id !== undefined) this.made.set(asked, id);
    }
  }

  idOf(call: Call): string | undefined {
    const { request, answer } = call;
    if ('id' in request && request.id !== undefined) return request.id;
    // What it was told itself: where a key was forgotten, the same key may have made two, of other content.
    const told = (answer?.body as { reservationId?: string } | undefined)?.reservationId;
    if (request.op === 'reserve' && told !== undefined) return told;
    return this.made.get(askedFor(call));
  }

  reservation(id: string): Made | undefined {
    const home = partitionOf(id, this.partitions);
    const claims = this.model.claims.get(keyOf(home, id)) ?? [];
    const sealed = claims.filter(({ events }) => events.some(({ kind }) => kind === KIND.claimSealed)).at(-1);
    if (sealed) {
      const { buyer, lines, deadlines, attempt } = sealed;
      const places = new Set(lines.map(({ ref }) => partitionOf(ref, this.partitions)));
      const parts = [...places].flatMap((partition) => {
        const lives = this.model.holds.get(keyOf(partition, id)) ?? [];
        return lives.filter((life) => life.attempt === attempt).slice(-1);
      });
      return { id, claim: sealed, buyer, lines, deadlines: deadlines.slice(1), parts };
    }
    const alone = (this.model.holds.get(keyOf(home, id)) ?? []).filter(({ attempt }) => attempt === 0).at(-1);
    if (!alone) return undefined;
    const { buyer, lines, deadlines } = alone;
    return { id, alone, buyer, lines, deadlines, parts: [alone] };
  }

  missing(call: Call): string | undefined {
    const { request } = call;
    const id = this.idOf(call);
    if (id === undefined) return 'nothing under its id';
    switch (request.op) {
      case 'restock':
      case 'adjust':
      case 'deduct':
        return this.missingStep(call, id, request.ref);
      case 'reserve':
      case 'confirm':
      case 'release':
      case 'extend':
      case 'return':
        return this.missingChange(request, id, call.answer!.body as ReservationBody);
      default:
        return undefined;
    }
  }

  decisive(id: string, request: Request): Movement[] {
    const { op } = request;
    if (op === 'read' || op === 'find') return [];
    if (op === 'restock' || op === 'adjust' || op === 'deduct') {
      const kind = { restock: KIND.restocked, adjust: KIND.adjusted, deduct: KIND.deducted }[op];
      return (this.model.byId.get(id) ?? []).filter((event) => event.kind === kind && event.ref === request.ref);
    }
    const made = this.reservation(id);
    if (!made) return [];
    const [alone, claim] = {
      reserve: [KIND.held, KIND.claimSealed],
      confirm: [KIND.confirmed, KIND.claimConfirmed],
      release: [KIND.released, KIND.claimReleased],
      extend: [KIND.extended, KIND.claimExtended],
      return: [KIND.returned, KIND.returned],
    }[op];
    if (made.claim && op !== 'return') return made.claim.events.filter(({ kind }) => kind === claim);
    // What the sweep brings back nobody asked for.
    return made.parts.flatMap((part) =>
      part.events.filter(({ kind, actor }) => kind === alone && (op !== 'return' || actor !== SWEEP_ACTOR)),
    );
  }

  private missingStep(call: Call, id: string, ref: string): string | undefined {
    const [event] = this.decisive(id, call.request);
    if (!event) return `no such event of ${id} on ${ref}`;
    const told = call.answer!.body as LevelBody;
    for (const name of ['available', 'reserved', 'sold', 'version'] as const)
      if (told[name] !== event[name]) return `the event says ${name} ${event[name]}, the answer ${told[name]}`;
    return undefined;
  }

  private missingChange(request: Request, id: string, told: ReservationBody): string | undefined {
    const made = this.reservation(id);
    if (!made) return `no reservation ${id}`;
    if (request.op === 'reserve' || request.op === 'extend') {
      if (!made.deadlines.includes(Date.parse(told.expiresAt))) return `it never had the deadline ${told.expiresAt}`;
    }
    if (request.op === 'reserve' && !sameLines(request.lines, made.lines)) return 'it has other lines';
    if (request.op === 'reserve' && request.buyer !== made.buyer) return `it is of ${made.buyer}`;
    const { state } = made.claim ?? made.alone!;
    if (request.op === 'confirm' && state !== STATE.confirmed && state !== STATE.returned) return 'it is not confirmed';
    if (request.op === 'release' && state !== STATE.released && state !== STATE.expired) return 'it is not released';
    if (request.op === 'return') return missingReturn(request, told, made);
    return undefined;
  }
}

function missingReturn(
  { lines: asked }: Request & { op: 'return' },
  told: ReservationBody,
  made: Made,
): string | undefined {
  const back = new Map(made.parts.flatMap(({ lines }) => lines.map(({ ref, returned }) => [ref, returned] as const)));
  const lines =
    told.lines?.map(({ location, sku, returned }) => ({ ref: `${location}:${sku}`, returned })) ??
    // Without them, "done" says that as many came back as were asked for: all, where no lines were.
    (asked ?? made.lines).map(({ ref, quantity }) => ({ ref, returned: quantity }));
  for (const { ref, returned } of lines) {
    if ((back.get(ref) ?? 0) < returned) return `${back.get(ref) ?? 0} units of ${ref} came back, not ${returned}`;
  }
  return undefined;
}

/** Duplicates are summed first (S5). */
export function sameLines(asked: readonly LineAsked[], made: readonly LineAsked[]): boolean {
  const sum = (lines: readonly LineAsked[]) => {
    const sums = new Map<string, number>();
    for (const { ref, quantity } of lines) sums.set(ref, (sums.get(ref) ?? 0) + quantity);
    return JSON.stringify([...sums].sort());
  };
  return sum(asked) === sum(made);
}

/**
 * The ledger replayed: what the events, in order, say the system is. Written from docs/protocol.md, apart from the Lua, the engine
 * and the workers. Whatever does not follow is noted with the point it breaks; the other checks compare with what comes out.
 */
import { keyOf, type FinalHold, type FinalItem, type FinalRecord, type Movement } from '../final/types.js';
import { KIND, kindName, SIGNS, STATE, stateName } from './kinds.js';
import type { Report } from './violation.js';

export interface ModelLine {
  readonly ref: string;
  readonly quantity: number;
  returned: number;
  readonly counted: boolean;
}

/** A hold record from the event that made it to the one that ended it. */
export interface Life {
  readonly partition: number;
  readonly id: string;
  attempt: number;
  state: number;
  deadline: number;
  readonly buyer: string;
  readonly lines: ModelLine[];
  readonly events: Movement[];
  /** Every deadline it ever had. */
  readonly deadlines: number[];
  /** `aborted` took the record away. */
  aborted: boolean;
  /** The latest deadline that was promised before it ended. */
}

export interface ClaimLife {
  readonly partition: number;
  readonly id: string;
  attempt: number;
  state: number;
  deadline: number;
  readonly buyer: string;
  readonly lines: readonly { readonly ref: string; readonly quantity: number }[];
  readonly events: Movement[];
  readonly deadlines: number[];
  aborted: boolean;
}

export interface Model {
  readonly items: Map<string, FinalItem>;
  /** Every state an item was in, in order: the events that changed it. */
  readonly timelines: Map<string, Movement[]>;
  /** By partition and id; the last life of each is its record now (unless aborted). */
  readonly holds: Map<string, Life[]>;
  readonly claims: Map<string, ClaimLife[]>;
  readonly ids: Map<string, FinalRecord>;
  readonly buyers: Map<string, Map<string, number>>;
  /** What a buyer had of a limited item, change by change, by `ref buyer`. */
  readonly counts: Map<string, { readonly at: number; readonly units: number }[]>;
  /** All events of an id, over all partitions. */
  readonly byId: Map<string, Movement[]>;
  /** In order of seq. */
  readonly byPartition: Map<number, Movement[]>;
}

export function replay(movements: readonly Movement[], report: Report): Model {
  const model: Model = {
    items: new Map(),
    timelines: new Map(),
    holds: new Map(),
    claims: new Map(),
    ids: new Map(),
    buyers: new Map(),
    counts: new Map(),
    byId: new Map(),
    byPartition: new Map(),
  };
  const replaying = new Replaying(model, report);
  for (const event of movements) {
    push(model.byPartition, event.partition, event);
    if (event.id !== '') push(model.byId, event.id, event);
    replaying.take(event);
  }
  return model;
}

export function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

const NOTHING: FinalItem = { available: 0, reserved: 0, sold: 0, version: 0 };

class Replaying {
  /** Entry (call of a script) that an event belongs to, told by its time and attempt: lines of one hold come together. */
  constructor(
    private readonly model: Model,
    private readonly report: Report,
  ) {}

  take(event: Movement): void {
    this.level(event);
    const { kind } = event;
    if (kind === KIND.held) this.held(event);
    else if (kind === KIND.extended) this.extended(event);
    else if (kind === KIND.confirmed || kind === KIND.released || kind === KIND.expired) this.ended(event);
    else if (kind === KIND.returned) this.returned(event);
    else if (kind === KIND.aborted) this.abortedLine(event);
    else if (kind >= KIND.claimOpened && kind <= KIND.claimAborted) this.claim(event);
    else if (kind === KIND.restocked || kind === KIND.adjusted || kind === KIND.deducted) this.oneStep(event);
  }

  /** Point 1: what it was, plus what happened, is what it is. */
  private level(event: Movement): void {
    const { ref, quantity, kind } = event;
    if (ref === '' || kind === KIND.reversed) return;
    const before = this.model.items.get(ref) ?? NOTHING;
    const signs = SIGNS[kind];
    const [a, r, s] = signs ?? [0, 0, 0];
    const expected = {
      available: before.available + a * quantity,
      reserved: before.reserved + r * quantity,
      sold: before.sold + s * quantity,
      version: before.version + (signs ? 1 : 0),
    };
    const { available, reserved, sold, version } = event;
    if (Object.entries(expected).some(([name, value]) => event[name as 'available'] !== value))
      this.wrong(
        1,
        event,
        `${this.name(event)} leaves ${ref} at ${levelText(event)}, but before it was ${levelText(before)}`,
      );
    if (available < 0 || reserved < 0 || sold < 0)
      this.wrong(1, event, `${this.name(event)} leaves a negative count: ${levelText(event)}`);
    const settings = kind === KIND.configured ? settingsIn(event.detail) : {};
    const limit = settings.buyerLimit === undefined ? before.buyerLimit : (settings.buyerLimit ?? undefined);
    this.model.items.set(ref, {
      available,
      reserved,
      sold,
      version,
      ...(limit === undefined ? {} : { buyerLimit: limit }),
    });
    if (signs) push(this.model.timelines, ref, event);
  }

  private held(event: Movement): void {
    const { partition, id, ref, quantity, attempt, deadline } = event;
    const buyer = buyerIn(event);
    const counted = this.counted(event, buyer);
    const line = { ref, quantity, returned: 0, counted };
    const key = keyOf(partition, id);
    const last = this.model.holds.get(key)?.at(-1);
    const previous = last?.events.at(-1);
    // Lines of one hold stand next to each other in one call.
    if (
      last &&
      !last.aborted &&
      last.state === STATE.held &&
      last.attempt === attempt &&
      previous?.kind === KIND.held &&
      previous.at === event.at
    ) {
      if (last.lines.some((one) => one.ref === ref))
        this.wrong(5, event, `${this.name(event)}: ${ref} is held twice under ${id}`);
      last.lines.push(line);
      last.events.push(event);
      return;
    }
    if (
      last &&
      !last.aborted &&
      !(attempt > last.attempt && (last.state === STATE.released || last.state === STATE.expired))
    )
      this.wrong(5, event, `${this.name(event)}: ${id} is held again although it is ${stateName(last.state)}`);
    const life = { partition, id, attempt, deadline, buyer, state: STATE.held, lines: [line], events: [event] };
    push(this.model.holds, key, { ...life, deadlines: [deadline], aborted: false });
  }

  private living(event: Movement): Life | undefined {
    const life = this.model.holds.get(keyOf(event.partition, event.id))?.at(-1);
    if (life && !life.aborted) {
      life.events.push(event);
      return life;
    }
    this.wrong(2, event, `${this.name(event)}: there is no hold ${event.id}`);
    return undefined;
  }

  private extended(event: Movement): void {
    const life = this.living(event);
    if (!life) return;
    // A later attempt of the same claim may take a part over, also one that was sold.
    if (life.state !== STATE.held && event.attempt <= life.attempt)
      this.wrong(2, event, `${this.name(event)}: ${event.id} is ${stateName(life.state)} and cannot be extended`);
    if (life.state === STATE.held) {
      if (event.attempt === 0 && event.deadline <= life.deadline)
        this.wrong(9, event, `${this.name(event)} brings the deadline of ${event.id} nearer`);
      if (event.attempt === 0 && event.at >= life.deadline)
        this.wrong(9, event, `${this.name(event)}: ${event.id} was extended after its deadline`);
    }
    life.attempt = event.attempt;
    life.deadline = event.deadline;
    life.deadlines.push(event.deadline);
  }

  /** Point 2: a hold ends once, all its lines together; point 9: in time. */
  private ended(event: Movement): void {
    const life = this.living(event);
    if (!life) return;
    const state = { [KIND.confirmed]: STATE.confirmed, [KIND.released]: STATE.released, [KIND.expired]: STATE.expired }[
      event.kind
    ]!;
    const line = life.lines.find(({ ref }) => ref === event.ref);
    if (!line || line.quantity !== event.quantity)
      this.wrong(
        2,
        event,
        `${this.name(event)}: ${event.id} holds ${line?.quantity ?? 'no'} units of ${event.ref}, not ${event.quantity}`,
      );
    const same = life.events.filter(
      ({ kind, ref, attempt }) => kind === event.kind && ref === event.ref && attempt === event.attempt,
    );
    if (same.length > 1)
      this.wrong(2, event, `${this.name(event)}: ${event.id} had been ${kindName(event.kind)} before`);
    if (life.state !== STATE.held && life.state !== state)
      this.wrong(2, event, `${this.name(event)}: ${event.id} is ${stateName(life.state)} already`);
    life.state = state;
    if (line?.counted && state !== STATE.confirmed) this.count(event.ref, life.buyer, -event.quantity, event);
    // Parts of a claim end when the claim says so; whether that was in time is seen at the claim.
    if (life.attempt > 0) return;
    if (event.kind === KIND.expired && event.at < life.deadline)
      this.wrong(
        9,
        event,
        `${this.name(event)}: ${event.id} expired ${life.deadline - event.at} ms before its deadline`,
      );
    if (event.kind === KIND.confirmed && event.at >= life.deadline)
      this.wrong(
        9,
        event,
        `${this.name(event)}: ${event.id} was confirmed ${event.at - life.deadline} ms after its deadline`,
      );
  }

  private returned(event: Movement): void {
    const life = this.living(event);
    if (!life) return;
    const line = life.lines.find(({ ref }) => ref === event.ref);
    if (life.state !== STATE.confirmed && life.state !== STATE.returned)
      this.wrong(2, event, `${this.name(event)}: ${event.id} is ${stateName(life.state)}, nothing was sold`);
    if (!line) return this.wrong(2, event, `${this.name(event)}: ${event.id} has no ${event.ref}`);
    line.returned += event.quantity;
    if (line.returned > line.quantity)
      this.wrong(2, event, `${this.name(event)}: ${line.returned} of ${line.quantity} units came back`);
    if (line.counted) this.count(event.ref, life.buyer, -event.quantity, event);
    if (life.lines.every((one) => one.returned === one.quantity)) life.state = STATE.returned;
  }

  private abortedLine(event: Movement): void {
    const life = this.model.holds.get(keyOf(event.partition, event.id))?.at(-1);
    if (!life || (life.aborted && life.events.at(-1)?.at !== event.at))
      return this.wrong(2, event, `${this.name(event)}: there is no hold ${event.id}`);
    const line = life.lines.find(({ ref }) => ref === event.ref);
    if (!line || line.quantity !== event.quantity)
      this.wrong(
        2,
        event,
        `${this.name(event)}: ${event.id} holds ${line?.quantity ?? 'no'} units of ${event.ref}, not ${event.quantity}`,
      );
    if (life.events.some((one) => one.kind === KIND.aborted && one.ref === event.ref))
      this.wrong(2, event, `${this.name(event)}: ${event.ref} of ${event.id} had been given up before`);
    if (life.state !== STATE.held) this.wrong(2, event, `${this.name(event)}: ${event.id} is ${stateName(life.state)}`);
    if (line?.counted) this.count(event.ref, life.buyer, -event.quantity, event);
    life.events.push(event);
    life.aborted = true;
  }

  private claim(event: Movement): void {
    const { partition, id, attempt, deadline, actor, kind } = event;
    const key = keyOf(partition, id);
    const last = this.model.claims.get(key)?.at(-1);
    const present = last && !last.aborted ? last : undefined;
    if (kind === KIND.claimOpened) {
      if (present && present.state !== STATE.pending)
        this.wrong(5, event, `${this.name(event)}: ${id} is opened again although it is ${stateName(present.state)}`);
      if (present && attempt <= present.attempt) this.wrong(5, event, `${this.name(event)}: its attempt does not grow`);
      const life = {
        partition,
        id,
        attempt,
        deadline,
        buyer: actor,
        lines: linesIn(event.detail),
        state: STATE.pending,
      };
      return push(this.model.claims, key, { ...life, events: [event], deadlines: [deadline], aborted: false });
    }
    if (!present) return this.wrong(2, event, `${this.name(event)}: there is no claim ${id}`);
    present.events.push(event);
    if (attempt !== present.attempt)
      this.wrong(2, event, `${this.name(event)} is of attempt ${attempt}, not ${present.attempt}`);
    this.claimMoves(event, present);
  }

  private claimMoves(event: Movement, claim: ClaimLife): void {
    const { kind, at, deadline, id } = event;
    const from = (...states: number[]): void => {
      if (!states.includes(claim.state))
        this.wrong(2, event, `${this.name(event)}: ${id} is ${stateName(claim.state)}`);
    };
    const inTime = (): void => {
      if (at >= claim.deadline)
        this.wrong(9, event, `${this.name(event)}: ${at - claim.deadline} ms after the deadline of ${id}`);
    };
    switch (kind) {
      case KIND.claimSealed:
        from(STATE.pending);
        claim.state = STATE.held;
        claim.deadline = deadline;
        claim.deadlines.push(deadline);
        return;
      case KIND.claimExtended:
        from(STATE.held);
        inTime();
        if (deadline <= claim.deadline) this.wrong(9, event, `${this.name(event)} brings the deadline of ${id} nearer`);
        claim.deadline = deadline;
        claim.deadlines.push(deadline);
        return;
      case KIND.claimConfirmed:
        // Whether it was in time is seen together with its parts: see checkWholes.
        from(STATE.held);
        claim.state = STATE.confirmed;
        return;
      case KIND.claimReleased:
        from(STATE.held);
        claim.state = STATE.released;
        return;
      case KIND.claimExpired:
        from(STATE.held);
        if (at < claim.deadline)
          this.wrong(9, event, `${this.name(event)}: ${claim.deadline - at} ms before the deadline of ${id}`);
        claim.state = STATE.expired;
        return;
      case KIND.claimReturned:
        from(STATE.confirmed);
        claim.state = STATE.returned;
        return;
      case KIND.claimAborted:
        from(STATE.pending);
        claim.aborted = true;
    }
  }

  /** Point 5: one effect an id. */
  private oneStep(event: Movement): void {
    const { id, ref, kind, available, reserved, sold, version } = event;
    const key = `${id}:${ref}`;
    const before = this.model.ids.get(key);
    if (before) this.wrong(5, event, `${this.name(event)}: ${id} had been ${kindName(before.kind)} on ${ref} before`);
    this.model.ids.set(key, { kind, available, reserved, sold, version });
    if (kind !== KIND.deducted) return;
    this.counted(event, buyerIn(event));
  }

  /** Point 1 (S8): units count towards the limit of their buyer exactly where the item has one. */
  private counted(event: Movement, buyer: string): boolean {
    const { ref, quantity } = event;
    const counted = event.detail.startsWith('limited');
    const limit = this.model.items.get(ref)?.buyerLimit;
    if (counted !== (limit !== undefined))
      this.wrong(
        1,
        event,
        `${this.name(event)}: ${counted ? 'counted' : 'not counted'} for ${buyer}, where the limit is ${limit}`,
      );
    if (counted) this.count(ref, buyer, quantity, event);
    return counted;
  }

  /** Point 1 (S8): what a buyer holds and has bought of a limited item. */
  private count(ref: string, buyer: string, by: number, event: Movement): void {
    const units = this.model.buyers.get(ref) ?? new Map<string, number>();
    this.model.buyers.set(ref, units);
    const count = (units.get(buyer) ?? 0) + by;
    const limit = this.model.items.get(ref)?.buyerLimit;
    if (by > 0 && limit !== undefined && count > limit)
      this.wrong(1, event, `${this.name(event)}: ${buyer} has ${count} units of ${ref}, where ${limit} are allowed`);
    if (count < 0) this.wrong(1, event, `${this.name(event)}: ${buyer} has ${count} units of ${ref}`);
    push(this.model.counts, `${ref} ${buyer}`, { at: event.at, units: count });
    if (count > 0) units.set(buyer, count);
    else units.delete(buyer);
  }

  private name({ partition, epoch, seq, kind }: Movement): string {
    return `event ${partition}/${epoch}-${seq} (${kindName(kind)})`;
  }

  private wrong(point: number, event: Movement, what: string): void {
    this.report({ point, what, ids: event.id ? [event.id] : [], refs: event.ref ? [event.ref] : [], events: [event] });
  }
}

const levelText = ({ available, reserved, sold, version }: FinalItem): string =>
  `${available} + ${reserved} + ${sold} (version ${version})`;

/** Whose units they are: who caused it, unless the event says for whom. */
export function buyerIn({ detail, actor }: Movement): string {
  return /^(?:limited)?(?: for:(.*))?$/.exec(detail)?.[1] ?? actor;
}

function settingsIn(detail: string): { buyerLimit?: number | null } {
  try {
    return JSON.parse(detail) as { buyerLimit?: number | null };
  } catch {
    return {};
  }
}

function linesIn(detail: string): { ref: string; quantity: number }[] {
  const cells = JSON.parse(detail) as (string | number)[];
  const lines: { ref: string; quantity: number }[] = [];
  for (let i = 0; i + 1 < cells.length; i += 2) lines.push({ ref: String(cells[i]), quantity: Number(cells[i + 1]) });
  return lines;
}

/** The record of an id as of the end: its last life, unless it was given up. */
export function present<L extends { readonly aborted: boolean }>(lives: readonly L[] | undefined): L | undefined {
  const last = lives?.at(-1);
  return last && !last.aborted ? last : undefined;
}

export function asFinal({ state, deadline, attempt, buyer, lines }: Life): FinalHold {
  return { state, deadline, attempt, buyer, lines };
}

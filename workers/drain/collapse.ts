import type { LogEvent } from '../../engine/types.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { KIND, STATE } from '../kinds.js';
import { PoisonEvent } from './errors.js';
import { type BoughtRow, type IdRow, type ItemRow, type LateReturn, type RecordRow, Records } from './records.js';
import { type ReversalRow, reversalRow } from './reversals.js';

/** What a batch of events comes to. */
export interface Collapsed {
  readonly events: readonly LogEvent[];
  readonly items: Map<string, ItemRow>;
  /** Changes of settings by item, later ones over earlier ones; `null` removes. */
  readonly settings: Map<string, Record<string, unknown>>;
  readonly holds: Records;
  readonly claims: Records;
  readonly ids: Map<string, IdRow>;
  /** By item and buyer. */
  readonly bought: Map<string, BoughtRow>;
  readonly lateReturns: LateReturn[];
  readonly reversals: ReversalRow[];
}

/** Ids of the holds whose rows `collapse` needs to know: a return adds to what has come back before. */
export function holdsToLoad(events: readonly LogEvent[]): string[] {
  const ids = new Set<string>();
  for (const event of events) if (event.kind === KIND.returned) ids.add(event.id);
  return [...ids];
}

/**
 * Collapses events to the final state of every item and record they touch.
 * @param loaded rows of `holdsToLoad` as they are before the batch
 * Throws PoisonEvent for an event that this version cannot understand; nothing may be persisted of such a batch.
 */
export function collapse(events: readonly LogEvent[], loaded: ReadonlyMap<string, RecordRow> = new Map()): Collapsed {
  const batch: Collapsed = {
    events,
    items: new Map(),
    settings: new Map(),
    holds: new Records(),
    claims: new Records(),
    ids: new Map(),
    bought: new Map(),
    lateReturns: [],
    reversals: [],
  };
  for (const event of events) {
    if (event.version > 0) noteItem(batch.items, event);
    apply(batch, event, loaded);
  }
  return batch;
}

function noteItem(items: Map<string, ItemRow>, event: LogEvent): void {
  const known = items.get(event.ref);
  if (!known) {
    items.set(event.ref, {
      ref: event.ref,
      available: event.available,
      reserved: event.reserved,
      sold: event.sold,
      version: event.version,
      updatedAt: event.at,
    });
  } else if (event.version > known.version) {
    known.available = event.available;
    known.reserved = event.reserved;
    known.sold = event.sold;
    known.version = event.version;
    known.updatedAt = event.at;
  }
}

function apply(batch: Collapsed, event: LogEvent, loaded: ReadonlyMap<string, RecordRow>): void {
  const { holds, claims } = batch;
  switch (event.kind) {
    case KIND.configured:
      return noteSettings(batch.settings, event);
    case KIND.restocked:
    case KIND.adjusted:
      return noteId(batch.ids, event);
    case KIND.deducted:
      noteBought(batch.bought, event);
      return noteId(batch.ids, event);
    case KIND.held:
      return addHeldLine(holds, event);
    case KIND.extended:
      return holds.change(event.id, -1, event.deadline, event.attempt, -1);
    case KIND.confirmed:
      return holds.change(event.id, STATE.confirmed, -1, -1, event.at);
    case KIND.released:
      return holds.change(event.id, STATE.released, -1, -1, event.at);
    case KIND.expired:
      return holds.change(event.id, STATE.expired, -1, -1, event.at);
    case KIND.returned:
      return addReturn(batch, event, loaded);
    case KIND.aborted:
      return holds.remove(event.id);
    case KIND.low_stock:
    case KIND.sold_out:
    case KIND.epoch_opened:
      return;
    case KIND.claim_opened:
      return claims.set(claimRow(event));
    case KIND.claim_sealed:
      return claims.change(event.id, STATE.held, event.deadline, -1, -1);
    case KIND.claim_confirmed:
      return claims.change(event.id, STATE.confirmed, -1, -1, event.at);
    case KIND.claim_released:
      return claims.change(event.id, STATE.released, -1, -1, event.at);
    case KIND.claim_extended:
      return claims.change(event.id, -1, event.deadline, -1, -1);
    case KIND.claim_expired:
      return claims.change(event.id, STATE.expired, -1, -1, event.at);
    case KIND.claim_returned:
      return claims.change(event.id, STATE.returned, -1, -1, event.at, mayBeForgotten(event));
    case KIND.claim_aborted:
      return claims.remove(event.id);
    case KIND.reversed:
      return void batch.reversals.push(reversalRow(event));
    default:
      throw new PoisonEvent(event, `kind ${event.kind} is not known to this version`);
  }
}

function noteSettings(settings: Map<string, Record<string, unknown>>, event: LogEvent): void {
  const change = parseDetail(event);
  if (typeof change !== 'object' || change === null || Array.isArray(change)) {
    throw new PoisonEvent(event, 'its detail is not a JSON object of settings');
  }
  const known = settings.get(event.ref) ?? {};
  const { attributes, ...plain } = change as Record<string, unknown>;
  Object.assign(known, plain);
  if (attributes !== undefined) known['attributes'] = Object.assign(known['attributes'] ?? {}, attributes);
  settings.set(event.ref, known);
}

function noteId(ids: Map<string, IdRow>, event: LogEvent): void {
  if (event.id === '') return;
  ids.set(`${event.id}:${event.ref}`, {
    id: event.id,
    ref: event.ref,
    kind: event.kind,
    fingerprint: event.fingerprint,
    available: event.available,
    reserved: event.reserved,
    sold: event.sold,
    version: event.version,
    updatedAt: event.at,
  });
}

function noteBought(bought: Map<string, BoughtRow>, event: LogEvent): void {
  if (!isLimited(event)) return;
  const buyer = buyerOf(event);
  const key = `${event.ref} ${buyer}`;
  const row = bought.get(key);
  if (row) row.units += event.quantity;
  else bought.set(key, { ref: event.ref, buyer, units: event.quantity });
}

/** Whether the units of a `held` or `deducted` event count towards the buyer's limit. */
function isLimited(event: LogEvent): boolean {
  return event.detail.startsWith('limited');
}

/** The buyer of a `held` or `deducted` event: its actor, unless its detail names another. */
function buyerOf(event: LogEvent): string {
  const at = event.detail.indexOf(' for:');
  return at < 0 ? event.actor : event.detail.slice(at + 5);
}

/** Lines of one reservation come in one script call, so they share time and attempt; anything else is a new record. */
function addHeldLine(holds: Records, event: LogEvent): void {
  const row = holds.whole.get(event.id);
  const counted = isLimited(event) ? 1 : 0;
  if (row && row.state === STATE.held && row.startedAt === event.at && row.attempt === event.attempt) {
    row.refs.push(event.ref);
    row.quantities.push(event.quantity);
    row.returned.push(0);
    row.counted.push(counted);
    return;
  }
  holds.set({
    id: event.id,
    state: STATE.held,
    deadline: event.deadline,
    fingerprint: event.fingerprint,
    attempt: event.attempt,
    buyer: buyerOf(event),
    resolvedAt: 0,
    startedAt: event.at,
    refs: [event.ref],
    quantities: [event.quantity],
    returned: [0],
    counted: [counted],
  });
}

/**
 * Whether the record that a return is about may have been removed here (prune.ts): Redis keeps one past its retention where the sweep
 * has not come by yet, and answers as long as it has it. The units come back all the same; there is no row left to note it in.
 */
function mayBeForgotten(event: LogEvent): boolean {
  return event.at - event.deadline >= limits.return_window_seconds * 1_000;
}

function addReturn(batch: Collapsed, event: LogEvent, loaded: ReadonlyMap<string, RecordRow>): void {
  const { holds } = batch;
  let row = holds.whole.get(event.id);
  if (!row) {
    const before = loaded.get(event.id);
    if (!before) {
      if (mayBeForgotten(event)) return void batch.lateReturns.push(event);
      throw new PoisonEvent(event, `units of reservation ${event.id} come back, which was never held`);
    }
    row = { ...before, ...holds.changed.get(event.id), returned: [...before.returned], loaded: true };
    holds.set(row);
  }
  const line = row.refs.indexOf(event.ref);
  if (line < 0) throw new PoisonEvent(event, `reservation ${event.id} has no line ${event.ref}`);
  row.returned[line] = row.returned[line]! + event.quantity;
  const complete = row.returned.every((returned, index) => returned === row.quantities[index]);
  row.state = complete ? STATE.returned : STATE.confirmed;
  row.resolvedAt = event.at;
}

function claimRow(event: LogEvent): RecordRow {
  const lines = parseDetail(event);
  if (!Array.isArray(lines)) throw new PoisonEvent(event, 'its detail is not a JSON list of lines');
  const refs: string[] = [];
  const quantities: number[] = [];
  for (let at = 0; at < lines.length; at += 2) {
    const [ref, quantity] = [lines[at] as unknown, lines[at + 1] as unknown];
    if (typeof ref !== 'string' || !Number.isSafeInteger(quantity)) {
      throw new PoisonEvent(event, 'its detail is not a JSON list of lines');
    }
    refs.push(ref);
    quantities.push(quantity as number);
  }
  return {
    id: event.id,
    state: STATE.pending,
    deadline: event.deadline,
    fingerprint: event.fingerprint,
    attempt: event.attempt,
    buyer: event.actor,
    resolvedAt: 0,
    startedAt: event.at,
    refs,
    quantities,
    returned: [],
    counted: [],
  };
}

function parseDetail(event: LogEvent): unknown {
  try {
    return JSON.parse(event.detail);
  } catch {
    throw new PoisonEvent(event, 'its detail is not JSON');
  }
}

/** Where a reservation lies: alone in its home partition, or as a claim with parts in several. */
import type { Context } from '../context.js';
import { refLines, refOf, type RefLine } from '../content.js';
import { stockFind } from '../scripts/generated/stock-find.js';
import type { HoldRecord, Line, ReservationLine } from '../types.js';
import { PlainPlaces } from './plain-places.js';
import { parseClaim, parseHold } from './record.js';

/** The lines of a reservation that lie in one partition, in the order of its record. */
export interface Part {
  readonly partition: number;
  readonly lines: readonly RefLine[];
}

/** What never changes about a reservation once it exists. */
export interface Place {
  readonly home: number;
  /** 0: decided by its hold record at home. Otherwise the claim's attempt. */
  readonly attempt: number;
  readonly buyerId: string;
  readonly parts: readonly Part[];
  /** This process has seen that no loss of a node takes the holds of the parts back. */
  readonly sure?: boolean;
}

export interface Found {
  readonly record: HoldRecord;
  readonly place: Place;
  /** The home node's clock when it answered. */
  readonly now: number;
  /** The home's epoch then. */
  readonly epoch: number;
}

/** Places this process keeps of claims and of what does not fit among the plain ones. At least so many. */
const REMEMBERED = 50_000;

/**
 * Places of the reservations this process made or asked for: most are confirmed where they were held. Nearly all are plain. The others
 * are kept in two generations: when the young one is full it becomes the old one, and what was old is forgotten at once.
 */
export class Places {
  readonly single = new SingleParts();
  /** How often something was lost that this process had been answered: what it has seen before is not sure any more. */
  losses = 0;
  private readonly plain = new PlainPlaces();
  private young = new Map<string, Place>();
  private old = new Map<string, Place>();

  get(id: string): Place | undefined {
    return this.plain.get(id) ?? this.young.get(id) ?? this.old.get(id);
  }

  /** One that is decided by its hold record alone, at the home of its one part. */
  rememberPlain(id: string, buyerId: string, parts: readonly Part[]): void {
    if (this.plain.remember(id, buyerId, parts)) this.forgetOther(id);
    else this.rememberOther(id, { home: parts[0]!.partition, attempt: 0, buyerId, parts });
  }

  remember(id: string, place: Place): void {
    const { home, attempt, buyerId, parts } = place;
    if (attempt === 0 && parts.length === 1 && parts[0]!.partition === home) this.rememberPlain(id, buyerId, parts);
    else this.rememberOther(id, place);
  }

  forget(id: string): void {
    this.plain.forget(id);
    this.forgetOther(id);
  }

  private rememberOther(id: string, place: Place): void {
    this.plain.forget(id);
    if (this.young.size >= REMEMBERED) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(id, place);
  }

  private forgetOther(id: string): void {
    if (this.young.size > 0) this.young.delete(id);
    if (this.old.size > 0) this.old.delete(id);
  }
}

/** Quantities from 1 to this are remembered; carts rarely hold more. */
const QUANTITIES = 16;
const LINES_REMEMBERED = 8_192;

/** What a request of one line comes to; shared by all that ask for the same, so nobody may change it. */
export interface Single {
  readonly parts: readonly [Part];
  /** The line as callers see it while it is held. */
  readonly held: readonly ReservationLine[];
}

/**
 * Parts of requests of one line, which are most: the same item is asked for again and again while it is hot, and then nothing has
 * to be checked, hashed and put together anew, and nothing is left behind to be collected.
 */
export class SingleParts {
  private readonly known = new Map<string, Map<string, Single[]>>();
  private count = 0;
  /** The one asked for last, and by which line: while an item is hot it is asked for next as well. */
  private last: { readonly line: Line; readonly single: Single } | undefined;

  /** @throws InvalidArgument as refLines does. */
  of(context: Context, line: Line): Single {
    const { location, sku, quantity } = line;
    const asked = this.last?.line;
    if (asked && asked.quantity === quantity && asked.sku === sku && asked.location === location)
      return this.last!.single;
    const plain = typeof quantity === 'number' && quantity <= QUANTITIES;
    let single = plain ? this.known.get(location)?.get(sku)?.[quantity] : undefined;
    if (!single) {
      const lines = refLines([line]);
      single = {
        parts: [{ partition: context.partitions.of(lines[0]!.item), lines }],
        held: Object.freeze([Object.freeze({ location, sku, quantity, returned: 0 })]),
      };
      if (plain) this.remember(line, single);
    }
    if (plain) this.last = { line: { location, sku, quantity }, single };
    return single;
  }

  private remember({ location, sku, quantity }: Line, single: Single): void {
    if (this.count++ >= LINES_REMEMBERED) {
      this.known.clear();
      this.count = 0;
    }
    let skus = this.known.get(location);
    if (!skus) this.known.set(location, (skus = new Map<string, Single[]>()));
    const quantities = skus.get(sku);
    if (quantities) quantities[quantity] = single;
    else {
      const fresh = new Array<Single>(QUANTITIES + 1);
      fresh[quantity] = single;
      skus.set(sku, fresh);
    }
  }
}

/** Groups lines by partition, in the order of their refs. */
export function partsOf(context: Context, lines: readonly RefLine[]): Part[] {
  const first = context.partitions.of(lines[0]!.item);
  if (lines.length === 1) return [{ partition: first, lines }];
  const groups = new Map<number, RefLine[]>();
  for (const line of lines) {
    const partition = context.partitions.of(line.item);
    const group = groups.get(partition);
    if (group) group.push(line);
    else groups.set(partition, [line]);
  }
  return [...groups].map(([partition, group]) => ({ partition, lines: group }));
}

export function toRefLine(line: Line): RefLine {
  return { item: refOf(line), quantity: line.quantity };
}

/** The reservation as its home has it; undefined when there is none (or it was never complete). */
export async function locate(context: Context, id: string, timeoutMs: number): Promise<Found | undefined> {
  const home = context.partitions.home(id);
  const { result, now, epoch } = await context.caller.call(stockFind, home, { id }, { ack: 'executed', timeoutMs, id });
  if (result.status !== 'ok') return undefined;
  const claim = parseClaim(id, result.claim);
  const record = claim ?? parseHold(id, result.hold);
  if (!record || record.state === 'pending' || (!claim && record.attempt > 0)) return undefined;
  return { record, place: placeOf(context, home, record), now, epoch };
}

export function placeOf(context: Context, home: number, record: HoldRecord): Place {
  const lines = record.lines.map(toRefLine);
  return { home, attempt: record.attempt, buyerId: record.buyerId, parts: partsOf(context, lines) };
}

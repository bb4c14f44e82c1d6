/** Where a reservation lies: alone in its home partition, or as a claim with parts in several. */
import type { Context } from '../context.js';
import { refOf, type RefLine } from '../content.js';
import { stockFind } from '../scripts/generated/stock-find.js';
import type { HoldRecord, Line } from '../types.js';
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

/** Places of the reservations this process made or asked for: most are confirmed where they were held. At least so many. */
const REMEMBERED = 50_000;

/**
 * Two generations: when the young one is full it becomes the old one, and what was old is forgotten at once. Keeping the exact
 * order of use costs a twelfth of a reservation's CPU here, and nobody is served better by it.
 */
export class Places {
  private young = new Map<string, Place>();
  private old = new Map<string, Place>();

  get(id: string): Place | undefined {
    return this.young.get(id) ?? this.old.get(id);
  }

  remember(id: string, place: Place): void {
    if (this.young.size >= REMEMBERED) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(id, place);
  }

  forget(id: string): void {
    this.young.delete(id);
    this.old.delete(id);
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

/** The form of a rule, and what the types of arguments promise. */
import { limits } from '../../engine/scripts/generated/limits.js';
import { type StatusName } from '../../engine/scripts/generated/statuses.js';
import { type Fact } from './facts.js';
import { type Item, type State } from './state.js';

export type Row = { readonly status: StatusName } & Readonly<Record<string, string | number>>;
/** An answer and what becomes true by it; a refusal has no facts. */
export interface Decision {
  readonly row: Row;
  readonly facts?: readonly Fact[];
}
/** Decides one operation on what is true at that moment. Never changes anything. */
export type Rule<Op> = (state: State, op: Op, now: number) => Decision;

export const answer = (status: StatusName, columns: Record<string, string | number> = {}): Decision => ({
  row: { status, ...columns },
});
export const INVALID = answer('invalid_argument');

export const isId = (text: string): boolean => /^[\w.~-]{1,128}$/.test(text);
export const isOptionalId = (text: string): boolean => text === '' || isId(text);
export const isText = (text: string): boolean => Buffer.byteLength(text) <= limits.detail_bytes && !text.includes('\0');
export const isCount = (number: number, least = 0, most: number = Number.MAX_SAFE_INTEGER): boolean =>
  Number.isSafeInteger(number) && !Object.is(number, -0) && number >= least && number <= most;

export const levelRow = (item: Item, updatedAt: number) => ({
  available: item.available,
  reserved: item.reserved,
  sold: item.sold,
  version: item.version,
  updatedAt,
});

/** The item after units moved. */
export const moved = (item: Item, by: { available?: number; sold?: number }): Item => ({
  ...item,
  available: item.available + (by.available ?? 0),
  sold: item.sold + (by.sold ?? 0),
  version: item.version + 1,
});

/** Low stock and sold out are told when the count goes down past the mark. */
export function marks(ref: string, { settings }: Item, before: number, after: number): Fact[] {
  const facts: Fact[] = [];
  if (settings.lowMark > 0 && before > settings.lowMark && after <= settings.lowMark)
    facts.push({ fact: 'told', kind: 'low_stock', ref, quantity: settings.lowMark });
  if (before > 0 && after === 0) facts.push({ fact: 'told', kind: 'sold_out', ref });
  return facts;
}

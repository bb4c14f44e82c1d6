/** Checks and canonical forms of what callers pass in. Bad input is refused here, before anything is sent. */
import { InvalidArgument } from './errors.js';
import { limits } from './scripts/generated/limits.js';
import type { ItemRef, Line } from './types.js';

const ID = /^[A-Za-z0-9._~-]{1,128}$/;

/** A line by its ref, summed over duplicates. */
export interface RefLine {
  readonly item: string;
  readonly quantity: number;
}

export function checkId(value: unknown, what: string): asserts value is string {
  if (typeof value !== 'string' || !ID.test(value))
    throw new InvalidArgument(`${what} must be 1 to 128 of A-Z a-z 0-9 . _ - ~`);
}

export function checkWhole(value: unknown, least: number, most: number, what: string): asserts value is number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most)
    throw new InvalidArgument(`${what} must be a whole number from ${least} to ${most}`);
}

/** Free text for the audit trail: at most limits.text_bytes of UTF-8. */
export function checkText(value: string | undefined, what: string): string {
  if (value === undefined) return '';
  if (typeof value !== 'string' || Buffer.byteLength(value) > limits.text_bytes)
    throw new InvalidArgument(`${what} must be text of at most ${limits.text_bytes} bytes`);
  return value;
}

/** `location:sku`, as keys and records name an item. */
export function refOf(item: ItemRef): string {
  checkId(item.location, 'location');
  checkId(item.sku, 'sku');
  return `${item.location}:${item.sku}`;
}

export function itemOf(ref: string): ItemRef {
  const colon = ref.indexOf(':');
  return { location: ref.slice(0, colon), sku: ref.slice(colon + 1) };
}

/** Lines by ref, duplicates summed (S5), in the order of their refs: the order of the record. */
export function refLines(lines: readonly Line[]): RefLine[] {
  if (!(lines.length >= 1 && lines.length <= limits.max_lines))
    throw new InvalidArgument(`lines must be 1 to ${limits.max_lines}`);
  if (lines.length === 1) {
    const line = lines[0]!;
    checkWhole(line.quantity, 1, limits.max_quantity, 'quantity');
    return [{ item: refOf(line), quantity: line.quantity }];
  }
  const sums = new Map<string, number>();
  for (const line of lines) {
    checkWhole(line.quantity, 1, limits.max_quantity, 'quantity');
    const ref = refOf(line);
    sums.set(ref, (sums.get(ref) ?? 0) + line.quantity);
  }
  return [...sums.keys()].sort().map((item) => {
    const quantity = sums.get(item)!;
    checkWhole(quantity, 1, limits.max_quantity, 'the quantity of an item over all its lines');
    return { item, quantity };
  });
}

/**
 * 46-bit hash of an operation's content: two 32-bit FNV-1a streams. It tells a repetition from another content under the
 * same id; whoever makes a collision on purpose only deceives himself.
 */
export function fingerprint(content: string): number {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (let i = 0; i < content.length; i++) {
    const code = content.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ (code + 0x9e37), 0x85ebca6b);
    b ^= b >>> 13;
  }
  return (a >>> 9) * 0x800000 + (b >>> 9);
}

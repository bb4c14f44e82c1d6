import { eventNumbers } from '../engine/scripts/generated/events.js';

/** Kinds of log events by name. */
export const KIND = eventNumbers;

/** States of hold and claim records by number (docs/protocol.md). */
export const STATE = { held: 1, confirmed: 2, released: 3, expired: 4, returned: 5, pending: 6 } as const;

export const STATE_NAMES = ['', 'held', 'confirmed', 'released', 'expired', 'returned', 'pending'] as const;

const NAMES: readonly string[] = Object.entries(KIND).reduce<string[]>((names, [name, kind]) => {
  names[kind] = name;
  return names;
}, []);

/** The name of a kind of event; undefined for one that this version does not know. */
export function kindName(kind: number): string | undefined {
  return NAMES[kind];
}

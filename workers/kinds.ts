/** Kinds of log events by number, as lua/registry/events.json has them (a test holds the two together). */
export const KIND = {
  configured: 1,
  restocked: 2,
  adjusted: 3,
  deducted: 4,
  held: 5,
  extended: 6,
  confirmed: 7,
  released: 8,
  expired: 9,
  returned: 10,
  aborted: 11,
  low_stock: 20,
  sold_out: 21,
  claim_opened: 30,
  claim_sealed: 31,
  claim_confirmed: 32,
  claim_released: 33,
  claim_extended: 34,
  claim_expired: 35,
  claim_returned: 36,
  claim_aborted: 37,
  epoch_opened: 40,
} as const;

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

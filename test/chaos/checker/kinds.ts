/** Kinds of events and states of records by number, as docs/protocol.md and lua/registry/events.json have them. */
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
  lowStock: 20,
  soldOut: 21,
  claimOpened: 30,
  claimSealed: 31,
  claimConfirmed: 32,
  claimReleased: 33,
  claimExtended: 34,
  claimExpired: 35,
  claimReturned: 36,
  claimAborted: 37,
  epochOpened: 40,
  reversed: 41,
} as const;

const NAMES = new Map<number, string>(Object.entries(KIND).map(([name, kind]) => [kind, name]));

export const kindName = (kind: number): string => NAMES.get(kind) ?? `kind ${kind}`;

/** Who the sweep says it is. */
export const SWEEP_ACTOR = 'expiry';

export const STATE = { held: 1, confirmed: 2, released: 3, expired: 4, returned: 5, pending: 6 } as const;

const STATES = ['', 'held', 'confirmed', 'released', 'expired', 'returned', 'pending'];

export const stateName = (state: number): string => STATES[state] ?? `state ${state}`;

/** What an event does to available, reserved and sold, times its quantity. */
export const SIGNS: Readonly<Record<number, readonly [number, number, number]>> = {
  [KIND.configured]: [0, 0, 0],
  [KIND.restocked]: [1, 0, 0],
  [KIND.adjusted]: [1, 0, 0],
  [KIND.deducted]: [-1, 0, 1],
  [KIND.held]: [-1, 1, 0],
  [KIND.confirmed]: [0, -1, 1],
  [KIND.released]: [1, -1, 0],
  [KIND.expired]: [1, -1, 0],
  [KIND.returned]: [1, 0, -1],
  [KIND.aborted]: [1, -1, 0],
};

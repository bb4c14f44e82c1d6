/**
 * What both ends of `GET /v1/stream` agree on: numbers of operations, positions of columns, reasons for closing.
 * Nothing but constants: the server and the browser read the same file. The page for people is docs/stream.md.
 */

/** Selected by `Sec-WebSocket-Protocol`; a frame layout that is not compatible gets another number. */
export const SUBPROTOCOL = 'holdfast.v1';
/** Beside it, a token may be offered: `bearer.<jwt>`. */
export const TOKEN_PREFIX = 'bearer.';
export const VERSION = 1;

/**
 * Requests are `[op, id, ...]`, a frame is an array of them. Numbers are never reused. An *item* is `location:sku`, or the number
 * under which `items` declared it on this connection. Times are ms since the epoch; `?` may be nil or left out at the end.
 */
export const OP = {
  /** `[1, id, token]` → `[id, 0, expiresAt]` */
  auth: 1,
  /** `[2, id]` → `[id, 0, now]` */
  ping: 2,
  /** `[3, id, first, [ref, …]]`: declares items, numbered from `first` on, which is how many there were → `[id, 0]` */
  items: 3,
  /**
   * `[10, id, reservationId?, [item, quantity, …], buyerId?, holdSeconds?, ack?, new?]` → RESERVATION. `new`: true where the id was
   * never sent before, so that it may be refused without asking the store when an item is known to be sold out.
   */
  reserve: 10,
  /** `[11, id, reservationId, ack?]` → RESERVATION */
  confirm: 11,
  /** `[12, id, reservationId, ack?]` → RESERVATION */
  release: 12,
  /** `[13, id, reservationId, holdSeconds, ack?]` → RESERVATION */
  extend: 13,
  /** `[14, id, reservationId]` → `[id, 0, reservationId, state, expiresAt, now, buyerId, [ref, quantity, returned, …]]` */
  find: 14,
  /** `[15, id, reservationId, [item, quantity | nil, …]?, ack?]` → RESERVATION */
  return: 15,
  /** `[20, id, item, quantity, orderId, buyerId?, ack?]` → `[id, 0 | 1, ack, …LEVEL]` */
  deduct: 20,
  /** `[30, id, [item, …], fresh?]` → `[id, 0, staleMs, [LEVEL of each, one after the other]]` */
  stock: 30,
  /** `[31, id, [item number, …]]` → `[id, 0]`; the counts follow as a `changes` push, before any later change of them */
  subscribe: 31,
  /** `[32, id, [item number, …]]` → `[id, 0]` */
  unsubscribe: 32,
} as const;

/** What the server sends unasked begins with a number below 0. */
export const PUSH = {
  /** `[-1, version, partitions, now, authenticated, [LIMITS]]`: first of all. */
  hello: -1,
  /** `[-2, [item number, …LEVEL, …]]`: six columns an item, the newest of each. */
  changes: -2,
  /** `[-3, staleMs, [partition, staleMs | nil, …]]`: how old what was sent may be; partitions that differ follow, nil: unknown. */
  vouch: -3,
  /** `[-4, code, text]`: nothing more is taken on this connection; answers that are owed still come. */
  goodbye: -4,
} as const;

/** Second column of an answer: done now, or done before under the same id. Anything else is the code of an error, as over HTTP. */
export const DONE = 0;
export const EXISTS = 1;

/** `[id, 0 | 1, reservationId, state, expiresAt, now, ack]` */
export const RESERVATION_COLUMNS = 7;
/** `available, reserved, sold, version, updatedAt`; `available` is nil where there is no such item. */
export const LEVEL_COLUMNS = 5;
/** Errors: `[id, code, available?, line?, detail?, askAgainBy?]`. */
export const ERROR_COLUMNS = { available: 2, line: 3, detail: 4, askAgainBy: 5 } as const;

export const ACKS = ['executed', 'replicated', 'durable'] as const;
export const STATES = ['held', 'confirmed', 'released', 'expired', 'returned'] as const;

/** Order of the limits in `hello`. */
export const LIMITS = [
  'frameBytes',
  'requestsPerFrame',
  'inFlight',
  'items',
  'subscriptions',
  'itemsPerRequest',
  'callMs',
] as const;
export type LimitName = (typeof LIMITS)[number];

/** Reasons for which the server closes. */
export const CLOSE = {
  /** The process ends; another takes over. */
  goingAway: 1001,
  /** Text frames. */
  notBinary: 1003,
  /** Not MessagePack, or not an array of requests. */
  malformed: 1007,
  /** A limit of the connection was broken. */
  policy: 1008,
  /** No valid token in time, or none any more. */
  unauthenticated: 4401,
  /** What was sent is not being read. */
  slow: 4408,
} as const;

/** Reason beside `goingAway`: every request that was taken has been answered before; what has no answer was not taken. */
export const DRAINED = 'drained';

/** What the client takes and gives. Quantities are whole units, times ms since the epoch unless the name says otherwise. */
import type { ACKS, STATES } from '../wire/stream.js';
import type { SocketConstructor } from './socket.js';

export type Ack = (typeof ACKS)[number];
export type ReservationState = (typeof STATES)[number];

export interface ItemRef {
  readonly location: string;
  readonly sku: string;
}

export interface Line extends ItemRef {
  readonly quantity: number;
}

export interface CallOptions {
  /** How safe the change has to be before it is answered; the server's default otherwise. */
  readonly ack?: Ack;
  /** Milliseconds until the call is answered whatever happened; `ConnectOptions.timeoutMs` otherwise. */
  readonly timeoutMs?: number;
}

export interface ReserveRequest {
  /** Made by the client when absent, so that repeating is safe in any case. */
  readonly reservationId?: string;
  /** At most 100; lines of one item are summed first. */
  readonly lines: readonly Line[];
  /** For services: for whom. A buyer acts as the `sub` of its token. */
  readonly buyerId?: string;
  readonly holdSeconds?: number;
}

export interface Reservation {
  readonly reservationId: string;
  readonly status: ReservationState;
  /** Deadline of the hold, by the store's clock. */
  readonly expiresAt: number;
  /** Milliseconds left when it was answered; does not depend on this machine's clock. */
  readonly expiresInMs: number;
  /** The ack that was reached. */
  readonly ack: Ack;
  /** It had been done before under the same id. */
  readonly repeated: boolean;
}

export interface FoundReservation {
  readonly reservationId: string;
  readonly status: ReservationState;
  readonly expiresAt: number;
  readonly expiresInMs: number;
  /** Empty where there is none. */
  readonly buyerId: string;
  readonly lines: readonly (Line & { readonly returned: number })[];
}

export interface StockLevel extends ItemRef {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
  readonly updatedAt: number;
}

export interface StockAnswer {
  /** In the order asked; undefined for items that do not exist. */
  readonly items: readonly (StockLevel | undefined)[];
  /** How old the counts may have been when they were sent, in ms. */
  readonly staleMs: number;
}

export interface DeductRequest {
  readonly quantity: number;
  /** Repeating under the same id changes nothing. */
  readonly orderId: string;
  readonly buyerId?: string;
}

export interface ConnectOptions {
  /** `ws://`, `wss://`, `http://` or `https://`; the path `/v1/stream` is added where there is none. */
  readonly url: string;
  /** A JWT, or where to get the next one: asked for on every connection and when the server says that the token has expired. */
  readonly token?: string | (() => string | Promise<string>);
  /** Deadline of calls that do not choose, default 5000 ms. */
  readonly timeoutMs?: number;
  /** Milliseconds for the first connection, default 10 000. Later ones are tried for ever. */
  readonly connectTimeoutMs?: number;
  /** Calls that are not answered yet; one more is refused at once with `overloaded`. Default 10 000. */
  readonly maxInFlight?: number;
  /** Longest pause between two attempts to connect, default 5000 ms. */
  readonly maxBackoffMs?: number;
  /** The browser's or Node's own by default; in Node 20, the one of the package `undici`. */
  readonly WebSocket?: SocketConstructor;
  readonly onState?: (state: ClientState) => void;
}

/** `connected`: calls are answered. `waiting`: they are kept until there is a connection, or their deadline. */
export type ClientState = 'connected' | 'waiting' | 'closed';

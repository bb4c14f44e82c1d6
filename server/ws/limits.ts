/** Every bound of the stream. Defaults hold for thousands of connections in one process. */
export interface StreamLimits {
  /** Connections of this process. */
  readonly connections: number;
  /** Bytes of one frame from a client. */
  readonly frameBytes: number;
  /** Requests in one frame. */
  readonly requestsPerFrame: number;
  /** Requests of one connection that are not answered yet. */
  readonly inFlight: number;
  /** The same, of all connections together. */
  readonly inFlightTotal: number;
  /** Items one connection may declare. */
  readonly items: number;
  /** Items one connection may be subscribed to. */
  readonly subscriptions: number;
  /** Items in one request: of a query, a declaration, a subscription. */
  readonly itemsPerRequest: number;
  /** Seconds without a frame or a pong after which a connection is taken for dead. */
  readonly idleSeconds: number;
  /** Milliseconds to bring a token where reads are not public. */
  readonly authMs: number;
  /** Bytes waiting for a slow client from which on it is told no more news, and refused what it asks for. */
  readonly pauseBytes: number;
  /** Bytes waiting for a slow client at which it is cut off. */
  readonly dropBytes: number;
  /** Milliseconds between pushes of changes. */
  readonly tickMs: number;
  /** Milliseconds after which a connection with subscriptions is told how old they may be, when nothing changes. */
  readonly vouchMs: number;
}

export const STREAM_LIMITS: StreamLimits = {
  connections: 10_000,
  frameBytes: 1024 * 1024,
  requestsPerFrame: 4_096,
  inFlight: 16_384,
  inFlightTotal: 65_536,
  items: 65_536,
  subscriptions: 20_000,
  itemsPerRequest: 2_000,
  idleSeconds: 60,
  authMs: 10_000,
  pauseBytes: 1024 * 1024,
  dropBytes: 16 * 1024 * 1024,
  tickMs: 10,
  vouchMs: 100,
};

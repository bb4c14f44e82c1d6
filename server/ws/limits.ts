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
  /** Milliseconds in which what was taken is answered, and after which nothing of it is begun any more. */
  readonly callMs: number;
  /** Seconds without a frame or a pong after which a connection is taken for dead. */
  readonly idleSeconds: number;
  /** Milliseconds to bring a token where reads are not public. */
  readonly authMs: number;
  /** Bytes waiting for a slow client from which on it is told no more news, and refused what it asks for. */
  readonly pauseBytes: number;
  /** Bytes waiting for a slow client at which it is cut off. */
  readonly dropBytes: number;
  /** Least milliseconds between pushes of changes. */
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
  callMs: 2_000,
  idleSeconds: 60,
  authMs: 10_000,
  pauseBytes: 1024 * 1024,
  dropBytes: 16 * 1024 * 1024,
  tickMs: 5,
  vouchMs: 100,
};

type ReadInteger = (name: string, fallback: number, min: number, max: number) => number;

/** The bounds that depend on the machine and the use can be set; the others belong to the protocol. */
export function readStreamLimits(integer: ReadInteger): StreamLimits {
  const of = STREAM_LIMITS;
  return {
    ...of,
    connections: integer('HOLDFAST_STREAM_CONNECTIONS', of.connections, 1, 1_000_000),
    inFlight: integer('HOLDFAST_STREAM_IN_FLIGHT', of.inFlight, 1, 1_000_000),
    inFlightTotal: integer('HOLDFAST_STREAM_IN_FLIGHT_TOTAL', of.inFlightTotal, 1, 10_000_000),
    subscriptions: integer('HOLDFAST_STREAM_SUBSCRIPTIONS', of.subscriptions, 1, 1_000_000),
    dropBytes: integer('HOLDFAST_STREAM_DROP_BYTES', of.dropBytes, 2 * of.pauseBytes, 2 ** 30),
    tickMs: integer('HOLDFAST_STREAM_TICK_MS', of.tickMs, 1, 1_000),
  };
}

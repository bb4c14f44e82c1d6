/** What `ConnectOptions` leaves open, in ms and calls. */
export const DEFAULT_TIMEOUT_MS = 5_000;
export const DEFAULT_CONNECT_MS = 10_000;
export const DEFAULT_IN_FLIGHT = 10_000;
export const DEFAULT_BACKOFF_MS = 5_000;
export const PING_MS = 5_000;

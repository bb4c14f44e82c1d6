/** What `ConnectOptions` leaves open, in ms and calls. */
export const DEFAULT_TIMEOUT_MS = 5_000;
export const DEFAULT_CONNECT_MS = 10_000;
export const DEFAULT_IN_FLIGHT = 10_000;
export const DEFAULT_BACKOFF_MS = 5_000;
/** Where the server does not say how long it holds on to a call. */
export const CALL_MS = 2_000;
export const PING_MS = 5_000;
/** A round trip that took longer is measured again soon: it bounds the age of everything the replica answers until the next one. */
export const SLOW_MS = 5;
export const PING_AGAIN_MS = 250;

/** Who is asking, as the token says. */
export const ROLES = ['buyer', 'service', 'admin'] as const;
/** `buyer` acts as its own `sub`, `service` may act for any buyer, `admin` may do everything. (G1) */
export type Role = (typeof ROLES)[number];

export interface Caller {
  /** 1–128 of `A-Za-z0-9._-~`: a buyer's `sub` is its buyer id. */
  readonly sub: string;
  readonly role: Role;
  /** When the token ends, in ms; no cached verdict outlives it. */
  readonly expiresAt: number;
}

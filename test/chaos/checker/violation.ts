/** Something that a correct system does not do, with what is needed to understand it. */
import type { Movement } from '../final/types.js';
import type { Call } from '../history.js';

export interface Violation {
  /** Which of the points of docs/reliability.md. */
  readonly point: number;
  /** One sentence. */
  readonly what: string;
  /** Reservation, movement or order ids, and items, that it is about: the explanation shows all that happened to them. */
  readonly ids?: readonly string[];
  readonly refs?: readonly string[];
  readonly calls?: readonly Call[];
  readonly events?: readonly Movement[];
}

export type Report = (violation: Violation) => void;

/** At most so many violations of a point are kept; the rest is counted. */
export const KEPT_A_POINT = 20;

/** Rows of the scripts that decide about a claim that is complete: confirm, release, extend, return. */
import { type StatusName } from '../../engine/scripts/generated/statuses.js';
import { type World } from '../support/scripts.js';
import { claim } from './fixtures.js';

type ClaimParts = Parameters<typeof claim>[0];

/** A claim `h` with the due entry of its deadline. */
export const claimed = (parts: ClaimParts): Partial<World> => ({
  claims: { h: claim(parts) },
  due: { 'c:h': parts.deadline },
});

/** A row that answers without changing anything. */
export const quietClaim = <R extends { readonly status: StatusName }, Op>(
  answer: R,
  name: string,
  parts: ClaimParts,
  op: Op,
) => ({ status: answer.status, name, given: claimed(parts), ops: [op], answers: [answer] });

/** The event of a claim: it concerns no item. */
export const claimEvent = (kind: string, deadline: number, more: object = {}) => ({
  kind,
  id: 'h',
  actor: 'who',
  deadline,
  fingerprint: 77,
  attempt: 5,
  ...more,
});

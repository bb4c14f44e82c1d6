/** Rows that every script has that moves the units of a hold record: confirm, release, expire, abort, return. */
import { type StatusName } from '../../engine/scripts/generated/statuses.js';
import { type Row } from '../support/rows.js';
import { A, B, held } from './fixtures.js';

export interface HoldOp {
  readonly id: string;
  readonly attempt: number;
  readonly actor: string;
  readonly lines: readonly { readonly item: string }[];
}

export const holdOp = (over: Partial<HoldOp> = {}): HoldOp => ({
  id: 'h',
  attempt: 0,
  actor: 'who',
  lines: [{ item: A }, { item: B }],
  ...over,
});

/** Operations whose items are not those of the record of {@link held}. */
export const MISMATCHES: readonly (readonly [string, HoldOp['lines']])[] = [
  ['a line is missing', [{ item: A }]],
  ['another order', [{ item: B }, { item: A }]],
  ['another item', [{ item: A }, { item: 'x:y' }]],
  ['a line too many', [{ item: A }, { item: B }, { item: B }]],
];

const INVALID: readonly (readonly [string, Partial<HoldOp>])[] = [
  ['no id', { id: '' }],
  ['an id with a brace', { id: '{h}' }],
  ['no line', { lines: [] }],
  ['too many lines', { lines: Array.from({ length: 101 }, () => ({ item: A })) }],
  ['an actor too long', { actor: 'a'.repeat(16_385) }],
];

type Held = Parameters<typeof held>[1];

export function mismatchRows(attempt = 0): Row<void, HoldOp, { readonly status: 'items_mismatch' }>[] {
  return MISMATCHES.map(([name, lines]) => ({
    status: 'items_mismatch',
    name,
    given: (now: number) => held(now, { attempt }),
    ops: [holdOp({ attempt, lines })],
    answers: [{ status: 'items_mismatch' }],
  }));
}

export function invalidRows(): Row<void, HoldOp, { readonly status: 'invalid_argument' }>[] {
  return INVALID.map(([name, over]) => ({
    status: 'invalid_argument',
    name,
    given: (now: number) => held(now),
    ops: [holdOp(over)],
    answers: [{ status: 'invalid_argument' }],
  }));
}

export function notFoundRows(): Row<void, HoldOp, { readonly status: 'reservation_not_found' }>[] {
  const answer = { status: 'reservation_not_found' } as const;
  return [
    {
      status: 'reservation_not_found',
      name: 'no such id',
      given: (now) => held(now),
      ops: [holdOp({ id: 'i' })],
      answers: [answer],
    },
    {
      status: 'reservation_not_found',
      name: 'another attempt',
      given: (now) => held(now, { attempt: 5 }),
      ops: [holdOp({ attempt: 4 }), holdOp({ attempt: 6 }), holdOp()],
      answers: [answer, answer, answer],
    },
  ];
}

/** The events of both lines of {@link held} when they move, with the levels after. */
export function moveEvents(
  kind: string,
  deadline: number,
  levels: readonly (readonly [available: number, reserved: number, sold: number, version: number])[],
  attempt = 0,
) {
  return [A, B].map((ref, i) => ({
    kind,
    ref,
    id: 'h',
    quantity: i === 0 ? 2 : 1,
    actor: 'who',
    available: levels[i]![0],
    reserved: levels[i]![1],
    sold: levels[i]![2],
    version: levels[i]![3],
    deadline,
    fingerprint: 77,
    attempt,
  }));
}

/** A row that answers without changing anything. */
export const quiet = <R extends { readonly status: StatusName }>(
  answer: R,
  name: string,
  parts: Held,
  over: Partial<HoldOp> = {},
) => ({
  status: answer.status,
  name,
  given: (now: number) => held(now, parts),
  ops: [holdOp(over)],
  answers: [answer],
});

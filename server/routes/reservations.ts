/** Reservations: hold, look, confirm, release, extend, return. (S3, S5, S9) */
import type { CallOptions, Outcome, Reservation } from '../../engine/types.js';
import type { Caller } from '../auth/caller.js';
import { reserveUnlessSoldOut } from '../cache/sold-out.js';
import { refused } from '../http/failures.js';
import { reservationIdOf } from '../idempotency/key.js';
import { Problem, problemOfStatus } from '../http/problems.js';
import { type Load, refsOf } from '../limits/gate.js';
import { route, type Route } from '../http/route.js';
import type { TSchema } from '@sinclair/typebox';
import {
  AckBody,
  ExtendBody,
  ReservationChange,
  ReservationOut,
  ReserveBody,
  ReturnBody,
} from '../schemas/reservations.js';
import { buyerOf, callOptions, changedReservation } from './acting.js';
import { reservationBody } from './reservation-body.js';
import type { Services } from './services.js';

const EVERYBODY = ['buyer', 'service', 'admin'] as const;
const CHANGE_PROBLEMS = ['reservation_not_found', 'shard_unavailable', 'overloaded', 'outcome_unknown'];
const CHANGED = { description: 'The reservation after the change.', schema: ReservationChange };
const NOT_YET_DURABLE = {
  description: 'Done, but not durable in time; repeat to wait for it.',
  schema: ReservationChange,
};

export function reservationRoutes(services: Services): Route[] {
  return [reserveRoute(services), findRoute(services), ...changeRoutes(services)];
}

function reserveRoute({ engine, soldOut, gate }: Services): Route {
  return route({
    method: 'post',
    path: '/v1/reservations',
    operationId: 'reserve',
    tag: 'Reservations',
    summary: 'Hold units until a deadline: all lines or none.',
    description: 'The same `reservationId` with the same content gets the same answer again.',
    access: EVERYBODY,
    body: ReserveBody,
    idempotent: true,
    load: 'hold',
    makeId: ({ body: { lines } }, hash, fingerprint) =>
      reservationIdOf(hash, fingerprint, engine.partitions.of(lines[0]!), engine.partitions.count),
    idField: 'reservationId',
    answers: { 201: { ...CHANGED, description: 'Held.' }, 202: NOT_YET_DURABLE },
    problems: [
      'forbidden',
      'sku_not_found',
      'id_conflict',
      'admission_required',
      'not_on_sale',
      'buyer_limit',
      'insufficient_stock',
      ...CHANGE_PROBLEMS.slice(1),
    ],
    handle: (x, { body: { reservationId = x.changeId, lines, buyerId, holdSeconds, ack } }) => {
      gate.admit('hold', refsOf(lines));
      const options = callOptions(x, ack);
      const request = { reservationId, buyerId: buyerOf(x, buyerId), lines, holdSeconds };
      return reserveUnlessSoldOut(engine, soldOut, request, options, (outcome) => {
        if (!('value' in outcome)) throw refused(outcome, lines);
        const location = `/v1/reservations/${outcome.value.reservationId}`;
        return changedReservation(x, 201, outcome, options.ack, [['Location', location]]);
      });
    },
  });
}

function findRoute({ engine, database }: Services): Route {
  return route({
    method: 'get',
    path: '/v1/reservations/{id}',
    operationId: 'getReservation',
    tag: 'Reservations',
    summary: 'Look at a reservation.',
    description: 'Buyers see their own only.',
    access: EVERYBODY,
    answers: { 200: { description: 'The reservation.', schema: ReservationOut } },
    problems: ['reservation_not_found', 'shard_unavailable', 'overloaded', 'database_unavailable'],
    handle: async (x) => {
      const id = x.param(0);
      const found = (await engine.reservations.find(id)) ?? (await database?.findReservation(id));
      if (found === undefined || !mayTouch(x.who, found)) throw notFound();
      return { status: 200, body: reservationBody(found) };
    },
  });
}

interface Change {
  readonly name: 'confirm' | 'release' | 'extend' | 'return';
  readonly load: Load;
  readonly summary: string;
  readonly problems: readonly string[];
}

const CHANGES: readonly Change[] = [
  {
    name: 'confirm',
    load: 'finish',
    summary: 'Sell what is held. At or past the deadline: 410.',
    problems: ['hold_expired', 'reservation_released', 'reservation_returned'],
  },
  {
    name: 'release',
    load: 'finish',
    summary: 'Give back what is held.',
    problems: ['reservation_confirmed', 'reservation_returned'],
  },
  {
    name: 'extend',
    load: 'write',
    summary: 'Move the deadline to `holdSeconds` from now; never nearer.',
    problems: ['hold_expired', 'reservation_released', 'reservation_confirmed', 'reservation_returned'],
  },
  {
    name: 'return',
    load: 'finish',
    summary: 'Bring sold units back on sale; all of them without `lines`.',
    problems: ['reservation_held', 'hold_expired', 'reservation_released', 'return_exceeds_sold'],
  },
];

function changeRoutes(services: Services): Route[] {
  const { reservations } = services.engine;
  const [confirm, release, extend, giveBack] = CHANGES as [Change, Change, Change, Change];
  return [
    changeRoute(services, confirm, AckBody, true, (id, options) => reservations.confirm(id, options)),
    changeRoute(services, release, AckBody, true, (id, options) => reservations.release(id, options)),
    changeRoute(services, extend, ExtendBody, false, (id, options, body) =>
      reservations.extend(id, body.holdSeconds, options),
    ),
    changeRoute(services, giveBack, ReturnBody, true, (id, options, body) =>
      reservations.return(id, body.lines, options),
    ),
  ];
}

function changeRoute<B extends typeof AckBody | typeof ExtendBody | typeof ReturnBody>(
  { engine, gate }: Services,
  { name, load, summary, problems }: Change,
  schema: B,
  bodyOptional: boolean,
  act: (id: string, options: CallOptions, body: B['static']) => Promise<Outcome<Reservation>>,
): Route {
  return route<undefined, TSchema>({
    method: 'post',
    path: `/v1/reservations/{id}/${name}`,
    operationId: `${name}Reservation`,
    tag: 'Reservations',
    summary,
    description: 'Repeating is harmless. Buyers reach their own only.',
    access: EVERYBODY,
    body: schema,
    bodyOptional,
    idempotent: true,
    load,
    idField: 'reservationId',
    answers: { 200: CHANGED, 202: NOT_YET_DURABLE },
    problems: [...problems, ...CHANGE_PROBLEMS],
    handle: async (x, input) => {
      const id = x.param(0);
      gate.admit(load, [id]);
      const body = input.body as B['static'];
      const options = callOptions(x, body.ack);
      if (x.who.role === 'buyer') await checkOwner(engine, x.who, id);
      const outcome = await act(id, options, body);
      if (!('value' in outcome)) throw refused(outcome, 'lines' in body ? body.lines?.map(withQuantity) : undefined);
      return changedReservation(x, 200, outcome, options.ack);
    },
  });
}

const withQuantity = (line: { location: string; sku: string; quantity?: number }) => ({ quantity: 0, ...line });

/** That it exists at all is nobody else's business: another's reservation is answered like one there is not. */
export async function checkOwner(engine: Services['engine'], who: Caller, id: string): Promise<void> {
  const found = await engine.reservations.find(id);
  if (found === undefined || !mayTouch(who, found)) throw notFound();
}

export function mayTouch({ role, sub }: Caller, { buyerId }: Reservation): boolean {
  return role !== 'buyer' || buyerId === sub;
}

export function notFound(): Problem {
  const kind = problemOfStatus('reservation_not_found');
  return new Problem(kind, kind.description);
}

/** Reservations: what goes in and out. (S3, S5, S9) */
import { Type } from '@sinclair/typebox';
import { limits } from '../../engine/scripts/generated/limits.js';
import {
  Ack,
  BuyerId,
  closed,
  DateTime,
  HoldSeconds,
  LocationId,
  named,
  Quantity,
  ReservationId,
  Sku,
} from './common.js';

const item = { location: LocationId, sku: Sku };

export const ReserveLine = named('ReserveLine', Type.Object({ ...item, quantity: Quantity }, closed));

export const ReserveBody = named(
  'Reserve',
  Type.Object(
    {
      reservationId: Type.Optional(ReservationId),
      lines: Type.Array(ReserveLine, {
        minItems: 1,
        maxItems: limits.max_lines,
        description: 'All or nothing; lines of the same item are summed first.',
      }),
      buyerId: Type.Optional(BuyerId),
      holdSeconds: Type.Optional(HoldSeconds),
      ack: Type.Optional(Ack),
    },
    closed,
  ),
);

export const AckBody = named('AckOnly', Type.Object({ ack: Type.Optional(Ack) }, closed));

export const ExtendBody = named('Extend', Type.Object({ holdSeconds: HoldSeconds, ack: Type.Optional(Ack) }, closed));

export const ReturnBody = named(
  'Return',
  Type.Object(
    {
      lines: Type.Optional(
        Type.Array(
          Type.Object(
            {
              ...item,
              quantity: Type.Optional(
                Type.Integer({
                  minimum: 1,
                  maximum: limits.max_quantity * limits.max_lines,
                  description:
                    'Units of this line that have come back altogether, so that repeating is harmless; default: all.',
                }),
              ),
            },
            closed,
          ),
          { minItems: 1, maxItems: limits.max_lines },
        ),
      ),
      ack: Type.Optional(Ack),
    },
    closed,
  ),
);

const reservation = {
  reservationId: ReservationId,
  status: Type.Union(['held', 'confirmed', 'released', 'expired', 'returned'].map((status) => Type.Literal(status))),
  buyerId: Type.Optional(BuyerId),
  lines: Type.Array(
    Type.Object(
      {
        ...item,
        quantity: Type.Integer({ minimum: 1 }),
        returned: Type.Integer({ minimum: 0, description: 'Units of this line that have come back after the sale.' }),
      },
      closed,
    ),
  ),
  expiresAt: DateTime('Deadline of the hold; from this moment on it cannot be confirmed. (S9)'),
  expiresInSeconds: Type.Integer({
    minimum: 0,
    description: 'Seconds left, by the clock that decides; 0 unless held.',
  }),
};

export const ReservationOut = named('Reservation', Type.Object(reservation, closed));
export const ReservationChange = named('ReservationChange', Type.Object({ ...reservation, ack: Ack }, closed));

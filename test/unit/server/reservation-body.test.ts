import t from 'tap';
import type { Reservation, ReservationState } from '../../../engine/types.js';
import { changeBody, changeJson } from '../../../server/routes/reservation-body.js';
import { time } from '../../../server/routes/time.js';

const NOW = 1_795_168_432_498;
const made = (change: Partial<Reservation>): Reservation => ({
  reservationId: 'A.b_c~d-0',
  status: 'held',
  buyerId: 'b-1',
  lines: [{ location: 'main', sku: 'lamp', quantity: 2, returned: 0 }],
  expiresAt: NOW + 1_800_000,
  now: NOW,
  ...change,
});

void t.test('the text put together by hand is what JSON.stringify would write', async (t) => {
  const two = [
    { location: 'main', sku: 'lamp', quantity: 1_000_000, returned: 3 },
    { location: 'hall-2', sku: 'x.~_', quantity: 1, returned: 0 },
  ];
  const states: ReservationState[] = ['held', 'confirmed', 'released', 'expired', 'returned'];
  const all = [
    made({ buyerId: '' }),
    made({ lines: two }),
    made({ expiresAt: NOW - 5 }),
    ...states.map((status) => made({ status })),
  ];
  for (const reservation of all)
    for (const ack of ['executed', 'replicated', 'durable'] as const)
      t.equal(changeJson(reservation, ack), JSON.stringify(changeBody(reservation, ack)));
});

void t.test('times as Date writes them, whatever was asked for before', async (t) => {
  const seconds = [0, 1, 999, 1_000, NOW, NOW + 1, NOW - 498, NOW + 502, 253_402_300_799_999, 253_402_300_800_000, -1];
  for (const ms of [...seconds, ...seconds.reverse()]) t.equal(time(ms), new Date(ms).toISOString(), String(ms));
});

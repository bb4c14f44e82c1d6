/** A reservation that Redis has forgotten, from the records Postgres keeps. */
import type { Partitions } from '../../engine/partitions.js';
import type { Reservation, ReservationLine, ReservationState } from '../../engine/types.js';
import type { Query } from './database.js';

interface Raw {
  state: number;
  deadline: string;
  buyer: string;
  refs: string[];
  quantities: string[];
  returned: string[] | null;
}

/** Numbers of the records (docs/protocol.md); 6 is a claim that was never completed, so there is nothing to show. */
const STATES: readonly (ReservationState | undefined)[] = [
  undefined,
  'held',
  'confirmed',
  'released',
  'expired',
  'returned',
];

const CLAIM = `SELECT state, deadline, buyer, refs, quantities, NULL AS returned FROM claims WHERE partition = $1 AND id = $2`;
const HOLD = `SELECT state, deadline, buyer, refs, quantities, returned FROM holds WHERE partition = $1 AND id = $2 AND attempt = 0`;
const PARTS = `SELECT state, deadline, buyer, refs, quantities, returned FROM holds WHERE partition = ANY($1) AND id = $2`;

export async function readReservation(
  query: Query,
  partitions: Partitions,
  id: string,
): Promise<Reservation | undefined> {
  const home = partitions.home(id);
  const [claim] = await query<Raw>(CLAIM, [home, id]);
  if (claim === undefined) {
    const [hold] = await query<Raw>(HOLD, [home, id]);
    return hold === undefined ? undefined : view(id, hold, linesOf(hold));
  }
  if (STATES[claim.state] === undefined) return undefined;
  const places = [...new Set(claim.refs.map((ref) => partitions.of(ref)))];
  const parts = await query<Raw>(PARTS, [places, id]);
  const returned = new Map(parts.flatMap(linesOf).map((line) => [`${line.location}:${line.sku}`, line.returned]));
  const lines = linesOf(claim).map((line) => ({
    ...line,
    returned: returned.get(`${line.location}:${line.sku}`) ?? 0,
  }));
  return view(id, claim, lines);
}

function view(
  reservationId: string,
  { state, deadline, buyer }: Raw,
  lines: ReservationLine[],
): Reservation | undefined {
  const status = STATES[state];
  if (status === undefined) return undefined;
  const expiresAt = Number(deadline);
  const now = Date.now();
  return {
    reservationId,
    status: status === 'held' && expiresAt <= now ? 'expired' : status,
    buyerId: buyer,
    lines,
    expiresAt,
    now,
  };
}

function linesOf({ refs, quantities, returned }: Raw): ReservationLine[] {
  return refs.map((ref, index) => {
    const colon = ref.indexOf(':');
    return {
      location: ref.slice(0, colon),
      sku: ref.slice(colon + 1),
      quantity: Number(quantities[index] ?? 0),
      returned: Number(returned?.[index] ?? 0),
    };
  });
}

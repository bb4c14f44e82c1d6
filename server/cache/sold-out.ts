/** Reservations that need not be tried, because what they ask for is known to be sold out. (S6) */
import type { SoldOut } from '../../engine/cache/sold-out.js';
import type { CallOptions, Engine, Outcome, Reservation, ReserveRequest } from '../../engine/types.js';

/**
 * Reserves; refused at once where an item is known to be sold out. A request under an id is always carried out: it may be a
 * repetition, which has to get the answer of the first time.
 */
export async function reserveUnlessSoldOut(
  engine: Engine,
  soldOut: SoldOut,
  request: ReserveRequest,
  options: CallOptions,
): Promise<Outcome<Reservation>> {
  if (request.reservationId === undefined) {
    const known = soldOut.find(refsOf(request));
    if (known !== undefined) {
      const colon = known.indexOf(':');
      const item = { location: known.slice(0, colon), sku: known.slice(colon + 1) };
      return { status: 'insufficient_stock', item, available: 0 };
    }
  }
  const outcome = await engine.reservations.reserve(request, options);
  if (outcome.status === 'insufficient_stock' && outcome.available === 0 && outcome.item)
    soldOut.learn(`${outcome.item.location}:${outcome.item.sku}`);
  return outcome;
}

function* refsOf({ lines }: ReserveRequest): Iterable<string> {
  for (const { location, sku } of lines) yield `${location}:${sku}`;
}

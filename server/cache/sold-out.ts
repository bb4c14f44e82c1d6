/** Reservations that need not be tried, because what they ask for is known to be sold out. (S6) */
import type { SoldOut } from '../../engine/cache/sold-out.js';
import { itemOf } from '../../engine/content.js';
import type { CallOptions, Engine, Outcome, Reservation, ReserveRequest } from '../../engine/types.js';

/**
 * Reserves; refused at once where an item is known to be sold out. A request under an id is always carried out: it may be a
 * repetition, which has to get the answer of the first time.
 * @param read makes what is returned of the outcome; here, because every promise more is felt in a rush
 */
export function reserveUnlessSoldOut<T = Outcome<Reservation>>(
  engine: Engine,
  soldOut: SoldOut,
  request: ReserveRequest,
  options: CallOptions,
  read: (outcome: Outcome<Reservation>) => T = (outcome) => outcome as T,
): T | Promise<T> {
  if (request.reservationId === undefined && !soldOut.isEmpty) {
    const known = soldOut.find(refsOf(request));
    if (known !== undefined) return read({ status: 'insufficient_stock', item: itemOf(known), available: 0 });
  }
  return engine.reservations.reserve(request, options).then((outcome) => {
    if (outcome.status === 'insufficient_stock' && outcome.available === 0 && outcome.item)
      soldOut.learn(`${outcome.item.location}:${outcome.item.sku}`);
    return read(outcome);
  });
}

function* refsOf({ lines }: ReserveRequest): Iterable<string> {
  for (const { location, sku } of lines) yield `${location}:${sku}`;
}

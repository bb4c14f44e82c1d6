/** The reservations domain: holds with a deadline, over one partition or several. */
import { checkId } from '../content.js';
import { timeoutOf, type Context } from '../context.js';
import type { ReservationsApi } from '../types.js';
import { decide } from './decide.js';
import { extend } from './extend.js';
import { Losses } from './lost.js';
import { Places } from './place.js';
import { reserve } from './reserve.js';
import { returnUnits } from './return.js';
import { find } from './view.js';

export { SweepsOnDemand } from './demand.js';
export { sweep } from './sweep.js';

export interface Reservations extends ReservationsApi {
  /** Something that was answered about these reservations is gone from Redis. */
  readonly lost: (this: void, ids: Iterable<string>) => void;
}

export function reservationsApi(context: Context): Reservations {
  const places = new Places();
  const losses = new Losses(context, places);
  return {
    lost: (ids) => losses.add(ids),
    reserve: (request, options) => reserve(context, places, request, options),
    find: async (id, options) => {
      checkId(id, 'reservationId');
      return find(context, id, timeoutOf(context, options));
    },
    confirm: (id, options) => decide(context, places, 'confirm', id, options),
    release: (id, options) => decide(context, places, 'release', id, options),
    extend: (id, holdSeconds, options) => extend(context, places, id, holdSeconds, options),
    return: (id, lines, options) => returnUnits(context, id, lines, options),
  };
}

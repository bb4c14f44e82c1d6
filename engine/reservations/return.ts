/** Bringing sold units back on sale. (S3, T5) */
import { checkId, checkText, checkWhole, refOf } from '../content.js';
import { ackOf, change, isVouchedFor, timeoutOf, type Context } from '../context.js';
import { InvalidArgument, OutcomeUnknown, ShardUnavailable } from '../errors.js';
import { Deadline, done, narrowest, refusal } from '../outcome.js';
import { claimsReturn } from '../scripts/generated/claims-return.js';
import { limits } from '../scripts/generated/limits.js';
import { stockReturn, type StockReturnResult } from '../scripts/generated/stock-return.js';
import type { CallResult } from '../caller.js';
import type { Ack, CallOptions, ItemRef, Outcome, Refusal, Reservation, ReturnLine } from '../types.js';
import { tellPart } from './follow.js';
import { locate, type Found, type Part } from './place.js';
import { stateAt } from './record.js';
import { viewFound } from './view.js';

/** Totals by ref; a line that is not named has none, and is left as it is. */
type Totals = ReadonlyMap<string, number>;

export async function returnUnits(
  context: Context,
  id: string,
  lines: readonly ReturnLine[] | undefined,
  options?: CallOptions,
): Promise<Outcome<Reservation>> {
  checkId(id, 'reservationId');
  const deadline = new Deadline(timeoutOf(context, options));
  const found = await locate(context, id, deadline.left());
  if (!found) return refusal('reservation_not_found');
  const { place } = found;
  const { totals, exceeding } = wantedTotals(found, lines);
  const state = stateAt(found.record, found.now);
  if (exceeding && (state === 'confirmed' || state === 'returned')) return refusal('return_exceeds_sold', exceeding);
  const ack = ackOf(context, options);
  const actor = checkText(options?.actor ?? place.buyerId, 'actor');
  // A claim that is not sold refuses before any part is touched.
  if (place.attempt > 0 && state !== 'confirmed' && state !== 'returned') return unsold(state);
  const answers = await allOrUnknown(
    id,
    place.parts.map((part) => returnPart(context, id, found, part, totals, { ack, actor, deadline })),
  );
  const refused = answers.find(({ result }) => result.status !== 'ok' && result.status !== 'exists');
  if (refused) return refusal(refused.result.status);
  const status = answers.some(({ result }) => result.status === 'ok') ? 'ok' : 'exists';
  const acks = answers.map((answer) => answer.ack);
  if (place.attempt > 0 && answers.every(isReturned)) {
    const options = { ack, timeoutMs: deadline.left(), id };
    const noted = await change(context, claimsReturn, place.home, { id, actor }, options).catch((cause: unknown) => {
      throw unknownReturn(id, cause);
    });
    acks.push(noted.ack);
  }
  const reservation = await afterwards(context, id, found, answers, totals, deadline);
  return done(status, reservation, narrowest(acks));
}

/** The reservation as it is now; where it cannot be read again, as this call has made it: the units are back either way. */
async function afterwards(
  context: Context,
  id: string,
  before: Found,
  answers: readonly CallResult<StockReturnResult>[],
  totals: Totals,
  deadline: Deadline,
): Promise<Reservation> {
  try {
    const found = await locate(context, id, deadline.left());
    if (found) return await viewFound(context, id, found, deadline.left());
  } catch {
    // Told below from what is known.
  }
  const { record, now } = before;
  return {
    reservationId: id,
    status: answers.every(isReturned) ? 'returned' : 'confirmed',
    buyerId: record.buyerId,
    lines: record.lines.map(({ location, sku, quantity, returned }) => ({
      location,
      sku,
      quantity,
      returned: Math.max(returned, totals.get(`${location}:${sku}`) ?? 0),
    })),
    expiresAt: record.deadline,
    now,
  };
}

/** All answers. @throws OutcomeUnknown where some of the units may be back: an error may not say that nothing has happened. */
async function allOrUnknown<R>(id: string, calls: readonly Promise<R>[]): Promise<R[]> {
  const settled = await Promise.allSettled(calls);
  const answers: R[] = [];
  const errors: unknown[] = [];
  for (const one of settled) {
    if (one.status === 'fulfilled') answers.push(one.value);
    else errors.push(one.reason);
  }
  if (errors.length === 0) return answers;
  throw answers.length > 0 ? unknownReturn(id, errors[0]) : (errors.find(isUnknown) ?? errors[0]);
}

function isUnknown(error: unknown): boolean {
  return error instanceof OutcomeUnknown;
}

function unknownReturn(id: string, cause: unknown): OutcomeUnknown {
  return new OutcomeUnknown('Some of the units may have come back; ask again under the same id.', { id, cause });
}

interface Asked {
  readonly ack: Ack;
  readonly actor: string;
  readonly deadline: Deadline;
}

async function returnPart(
  context: Context,
  id: string,
  { place: { attempt, home }, epoch }: Found,
  part: Part,
  totals: Totals,
  { ack, actor, deadline }: Asked,
): Promise<CallResult<StockReturnResult>> {
  const op = { id, attempt, actor, lines: partTotals(part, totals) };
  const call = () => change(context, stockReturn, part.partition, op, { ack, timeoutMs: deadline.left(), id });
  const answer = await call();
  if (attempt === 0 || answer.result.status !== 'reservation_held') return answer;
  // The claim is sold and whoever decided so died before this part was told, or did not tell it while it could be taken back.
  const options = { ack, timeoutMs: deadline.left(), id };
  if (!(await isVouchedFor(context, home, epoch, options)))
    throw new ShardUnavailable('That it is sold is not safe yet; nothing was returned here.', { id, partition: home });
  await tellPart(context, id, attempt, part, 'confirm', { ack: 'executed', timeoutMs: deadline.left(), actor });
  return call();
}

function isReturned({ result }: CallResult<StockReturnResult>): boolean {
  return 'state' in result && result.state === 5;
}

function unsold(state: string): Refusal {
  if (state === 'released') return refusal('reservation_released');
  return refusal(state === 'expired' ? 'hold_expired' : 'reservation_held');
}

function wantedTotals(
  { record }: Found,
  lines: readonly ReturnLine[] | undefined,
): { totals: Totals; exceeding?: ItemRef } {
  const sold = new Map(record.lines.map((line) => [refOf(line), line.quantity]));
  if (lines === undefined) return { totals: sold };
  if (lines.length < 1 || lines.length > limits.max_lines)
    throw new InvalidArgument(`lines must be 1 to ${limits.max_lines}`);
  const totals = new Map<string, number>();
  let exceeding: ItemRef | undefined;
  for (const line of lines) {
    const ref = refOf(line);
    const quantity = sold.get(ref);
    if (quantity === undefined) throw new InvalidArgument(`the reservation has no line ${line.location}/${line.sku}`);
    if (totals.has(ref)) throw new InvalidArgument(`lines name ${line.location}/${line.sku} twice`);
    const total = line.quantity ?? quantity;
    checkWhole(total, 1, limits.max_quantity, 'quantity');
    if (total > quantity) exceeding ??= { location: line.location, sku: line.sku };
    totals.set(ref, total);
  }
  return { totals, exceeding };
}

function partTotals(part: Part, totals: Totals) {
  return part.lines.map(({ item }) => ({ item, total: totals.get(item) ?? 0 }));
}

/** Bringing sold units back on sale. (S3, T5) */
import { checkId, checkText, checkWhole, refOf } from '../content.js';
import { ackOf, atLeastReplicated, change, isVouchedFor, timeoutOf, type Context } from '../context.js';
import { InvalidArgument, OutcomeUnknown, ShardUnavailable } from '../errors.js';
import { Deadline, done, isDone, narrowest, refusal } from '../outcome.js';
import { claimsReturn } from '../scripts/generated/claims-return.js';
import { limits } from '../scripts/generated/limits.js';
import { stockReturn, type StockReturnResult } from '../scripts/generated/stock-return.js';
import type { CallResult } from '../caller.js';
import type {
  Ack,
  CallOptions,
  ItemRef,
  Outcome,
  Refusal,
  Reservation,
  ReservationState,
  ReturnLine,
} from '../types.js';
import { tellPart, tellSafely } from './follow.js';
import { locate, type Found, type Part } from './place.js';
import { stateAt } from './record.js';
import { view, viewFound } from './view.js';

type Answer = CallResult<StockReturnResult>;
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
  const sold = state === 'confirmed' || state === 'returned';
  if (exceeding && sold) return refusal('return_exceeds_sold', exceeding);
  const asked = { ack: ackOf(context, options), actor: checkText(options?.actor ?? place.buyerId, 'actor'), deadline };
  if (place.attempt === 0) return returnAlone(context, id, found, totals, asked);
  // A claim that is not sold refuses before any part is touched.
  if (!sold) return unsold(state);
  const whole = found.record.lines.every((line) => totals.get(refOf(line)) === line.quantity);
  return whole ? returnClaim(context, id, found, asked) : returnSome(context, id, found, totals, asked);
}

interface Asked {
  readonly ack: Ack;
  readonly actor: string;
  readonly deadline: Deadline;
}

async function returnAlone(
  context: Context,
  id: string,
  found: Found,
  totals: Totals,
  asked: Asked,
): Promise<Outcome<Reservation>> {
  const answer = await returnPart(context, id, found, found.place.parts[0]!, totals, asked);
  const { status } = answer.result;
  if (status !== 'ok' && status !== 'exists') return refusal(status);
  const state = isReturned(answer) ? 'returned' : 'confirmed';
  return done(status, await afterwards(context, id, found, state, totals, asked.deadline), answer.ack);
}

/** All of it: the home decides, the parts follow, as they do when it is sold. One that cannot be told now is told by the sweep. */
async function returnClaim(
  context: Context,
  id: string,
  { record, place }: Found,
  { ack, actor, deadline }: Asked,
): Promise<Outcome<Reservation>> {
  const options = { ack: atLeastReplicated(ack), timeoutMs: deadline.left(), id };
  const answer = await change(context, claimsReturn, place.home, { id, actor }, options);
  const { result } = answer;
  if (result.status !== 'ok' && result.status !== 'exists') {
    // The sale was lost since it was looked at.
    const now = await locate(context, id, deadline.left());
    return now ? unsold(stateAt(now.record, now.now)) : refusal('reservation_not_found');
  }
  const telling = { ack, timeoutMs: deadline.left(), actor };
  const told = await tellSafely(context, id, place, answer, 'return', telling);
  const reservation = view(id, place, 'returned', record.deadline, answer.now);
  return done(result.status, reservation, narrowest([answer.ack, told.ack]));
}

/**
 * Some of the units: that is decided where they lie, each part for itself, and nobody repeats it but the caller. So no part is
 * content with less than its replicas. Once everything is back the home says so, and from then on it is followed up as any return.
 */
async function returnSome(
  context: Context,
  id: string,
  found: Found,
  totals: Totals,
  asked: Asked,
): Promise<Outcome<Reservation>> {
  const { place } = found;
  const safely = { ...asked, ack: atLeastReplicated(asked.ack) };
  const concerned = place.parts.filter(({ lines }) => lines.some(({ item }) => totals.has(item)));
  // The others only say what has come back before.
  const others = place.parts.filter((part) => !concerned.includes(part));
  const [own, rest] = await Promise.all([
    Promise.allSettled(concerned.map((part) => returnPart(context, id, found, part, totals, safely))),
    Promise.allSettled(others.map((part) => returnPart(context, id, found, part, totals, safely))),
  ]);
  const answers = wholly(id, own);
  const all = [...answers, ...rest.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))];
  const complete = all.length === place.parts.length && all.every(isReturned);
  const acks = answers.map((answer) => answer.ack);
  if (complete) {
    const { actor, ack, deadline } = safely;
    const options = { ack, timeoutMs: deadline.left(), id };
    const noted = await change(context, claimsReturn, place.home, { id, actor }, options).catch((cause: unknown) => {
      throw unknownReturn(id, cause);
    });
    acks.push(noted.ack);
  }
  const status = answers.some(({ result }) => result.status === 'ok') ? 'ok' : 'exists';
  const state = complete ? 'returned' : 'confirmed';
  const reservation = await afterwards(context, id, found, state, totals, asked.deadline);
  return done(status, reservation, narrowest(acks));
}

/**
 * The answers of all parts. @throws OutcomeUnknown where some of the units are back, or may be, and others are not: neither an error
 * nor a refusal may say then that nothing has happened. ShardUnavailable where nothing has, of a sale that a part has lost.
 */
function wholly(id: string, settled: readonly PromiseSettledResult<Answer>[]): Answer[] {
  const answers: Answer[] = [];
  const errors: unknown[] = [];
  for (const one of settled) {
    if (one.status === 'rejected') errors.push(one.reason);
    else if (isDone(one.value.result.status)) answers.push(one.value);
    else errors.push(astray(id, one.value));
  }
  if (errors.length === 0) return answers;
  throw answers.length > 0 ? unknownReturn(id, errors[0]) : (errors.find(isUnknown) ?? errors[0]);
}

function astray(id: string, { result, partition }: Answer): ShardUnavailable {
  const message = `A part of the reservation is not as it was sold (${result.status}); nothing was returned here.`;
  return new ShardUnavailable(message, { id, partition });
}

/** The reservation as it is now; where it cannot be read again, as this call has made it: the units are back either way. */
async function afterwards(
  context: Context,
  id: string,
  before: Found,
  status: ReservationState,
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
    status,
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

function isUnknown(error: unknown): boolean {
  return error instanceof OutcomeUnknown;
}

function unknownReturn(id: string, cause: unknown): OutcomeUnknown {
  return new OutcomeUnknown('Some of the units may have come back; ask again under the same id.', { id, cause });
}

async function returnPart(
  context: Context,
  id: string,
  { place: { attempt, home }, epoch }: Found,
  part: Part,
  totals: Totals,
  { ack, actor, deadline }: Asked,
): Promise<Answer> {
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

function isReturned({ result }: Answer): boolean {
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

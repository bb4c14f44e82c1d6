/**
 * Reservations over several partitions, or under a caller's id whose home is elsewhere (docs/protocol.md): a claim is opened at
 * the home, every part is held under its attempt, the claim is sealed. Whoever dies on the way leaves what the sweep undoes.
 */
import { atLeastReplicated, change, isSafe, vouch, type Context } from '../context.js';
import { InvalidArgument, ShardUnavailable } from '../errors.js';
import { done, isDone, narrowest, refusal, sleep } from '../outcome.js';
import { claimsAbort } from '../scripts/generated/claims-abort.js';
import { claimsOpen, type ClaimsOpenResult } from '../scripts/generated/claims-open.js';
import { claimsReturn } from '../scripts/generated/claims-return.js';
import { claimsSeal } from '../scripts/generated/claims-seal.js';
import { stockAbort } from '../scripts/generated/stock-abort.js';
import { statuses } from '../scripts/generated/statuses.js';
import type { CallResult } from '../caller.js';
import type { StockReserveResult } from '../scripts/generated/stock-reserve.js';
import type { Ack, Outcome, Refusal, Reservation, ReservationState } from '../types.js';
import type { Part, Place, Places } from './place.js';
import { decideClaim } from './decide.js';
import { isRefusedForGood } from './parts.js';
import { again, holdPart, lineRefusal, type Wanted } from './hold.js';
import { stateName } from './record.js';
import { find, view } from './view.js';

/** Pause before asking again about a claim another request has in hand, ms. */
const IN_FLIGHT_PAUSE_MS = 15;

export async function reserveClaim(
  context: Context,
  places: Places,
  home: number,
  wanted: Wanted,
): Promise<Outcome<Reservation>> {
  for (;;) {
    const opened = await open(context, home, wanted);
    const { result } = opened;
    if (result.status === 'exists' || result.status === 'ok') {
      const outcome =
        result.status === 'exists'
          ? await existing(context, places, home, wanted, result.attempt)
          : await holdAndSeal(context, places, home, wanted, result.attempt);
      if (outcome !== 'superseded') return outcome;
    } else if (result.status !== 'in_flight') return refusal(result.status);
    if (wanted.deadline.passed) return refusal('in_flight');
    await sleep(IN_FLIGHT_PAUSE_MS);
  }
}

/** `executed` is enough here: the seal is written behind it to the same replicas. */
function open(context: Context, home: number, wanted: Wanted): Promise<CallResult<ClaimsOpenResult>> {
  const op = {
    id: wanted.id,
    fingerprint: wanted.fingerprint,
    buyer: wanted.buyer,
    lines: wanted.parts.flatMap((part) => part.lines.map(({ item, quantity }) => ({ ref: item, quantity }))),
  };
  return context.caller.call(claimsOpen, home, op, {
    ack: 'executed',
    timeoutMs: wanted.deadline.left(),
    id: wanted.id,
  });
}

/** The claim was complete before: the same answer again, with what became of it. */
async function existing(
  context: Context,
  places: Places,
  home: number,
  wanted: Wanted,
  attempt: number,
): Promise<Outcome<Reservation> | 'superseded'> {
  const reservation = await find(context, wanted.id, wanted.deadline.left());
  // Forgotten, or lost with a failover, between the two answers: it is opened anew.
  if (!reservation) return 'superseded';
  places.remember(wanted.id, placeOfWanted(home, wanted, attempt));
  // Ask once more through a seal that changes nothing, so that the ack is that of a write (see change()).
  const seal = await change(
    context,
    claimsSeal,
    home,
    { id: wanted.id, attempt, deadline: reservation.expiresAt },
    { ack: wanted.ack, timeoutMs: wanted.deadline.left(), id: wanted.id },
  );
  // The claim was lost between the two answers.
  if (seal.result.status === 'superseded') return 'superseded';
  const parts = wanted.ack === 'executed' ? [] : await existingParts(context, wanted, attempt, reservation);
  if ('status' in parts) {
    const place = placeOfWanted(home, wanted, attempt);
    const { id, ack, actor, deadline } = wanted;
    const released = await decideClaim(context, place, { id, ack, actor, deadline, decision: 'release' });
    return isDone(released.status) ? parts : done('exists', reservation, 'executed');
  }
  return done('exists', reservation, narrowest([seal.ack, ...parts]));
}

/**
 * What is told is that all lines are held, so every part has to bear it out: it is held again, which changes nothing where it is.
 * The acks, or the refusal of one that was lost and whose units are gone.
 */
async function existingParts(
  context: Context,
  wanted: Wanted,
  attempt: number,
  { status }: Reservation,
): Promise<Ack[] | Refusal> {
  const { ack, id, deadline, parts } = wanted;
  if (status !== 'held')
    return Promise.all(
      parts.map(({ partition }) => vouch(context, partition, { ack, timeoutMs: deadline.left(), id })),
    );
  const held = await Promise.allSettled(parts.map((part) => holdPart(context, wanted, part, again(attempt), ack)));
  const refused = firstRefusal(held, parts);
  // It may have ended meanwhile; what its parts say of that is not asked here.
  if (refused && !(refused instanceof Error) && refused.status !== 'superseded') {
    const refusing = held.flatMap((part) =>
      part.status === 'fulfilled' && !isDone(part.value.result.status) ? [part.value] : [],
    );
    if (await isRefusedForGood(context, id, refusing, deadline)) return refused;
  }
  return held.map((part) => (part.status === 'fulfilled' && isHeld(part.value.result) ? part.value.ack : 'executed'));
}

function isHeld(result: StockReserveResult): boolean {
  return 'state' in result && stateName(result.state) === 'held';
}

function isSold(result: StockReserveResult): boolean {
  return 'state' in result && ['confirmed', 'returned'].includes(stateName(result.state));
}

/**
 * The parts are held as safely as their shards can make it, whatever the caller asked for: a claim that is sealed is confirmed
 * as a whole, and must not lose a part to a failover that it outlives itself.
 */
async function holdAndSeal(
  context: Context,
  places: Places,
  home: number,
  wanted: Wanted,
  attempt: number,
): Promise<Outcome<Reservation> | 'superseded'> {
  const { losses } = places;
  const held = await Promise.allSettled(
    wanted.parts.map((part) => holdPart(context, wanted, part, attempt, atLeastReplicated(wanted.ack))),
  );
  const refused = firstRefusal(held, wanted.parts);
  if (refused) {
    await giveUp(context, home, wanted, attempt);
    if (refused instanceof Error) throw refused;
    return refused.status === 'superseded' ? 'superseded' : refused;
  }
  const answers = held.map((part) => (part as PromiseFulfilledResult<CallResult<StockReserveResult>>).value);
  const deadline = Math.min(...answers.map(({ result, now }) => now + holdMs(result)));
  const sealed = await change(
    context,
    claimsSeal,
    home,
    { id: wanted.id, attempt, deadline },
    { ack: wanted.ack, timeoutMs: wanted.deadline.left(), id: wanted.id },
  );
  if (sealed.result.status === 'superseded') return 'superseded';
  if (!('state' in sealed.result)) return refusal(sealed.result.status);
  const sure = answers.every(isSafe) && places.losses === losses;
  const place = { ...placeOfWanted(home, wanted, attempt), sure };
  places.remember(wanted.id, place);
  if (answers.some((answer) => isSold(answer.result))) {
    // A part was sold under an earlier attempt, which its home has lost: it was decided, and stays so.
    const { id, ack, actor, deadline: until } = wanted;
    const decided = await decideClaim(context, place, { id, ack, actor, deadline: until, decision: 'confirm' });
    const back = answers.every(({ result }) => 'state' in result && stateName(result.state) === 'returned');
    return back && 'value' in decided ? broughtBack(context, wanted, place, decided.value) : decided;
  }
  const state = stateName(sealed.result.state) as ReservationState;
  const reservation = view(wanted.id, place, state, sealed.result.deadline, sealed.now);
  return done('ok', reservation, narrowest([sealed.ack, ...answers.map(({ ack }) => ack)]));
}

/** Sold under an earlier attempt, and all of it has come back since: its home knows neither, and is told both. */
async function broughtBack(
  context: Context,
  { id, ack, actor, deadline }: Wanted,
  place: Place,
  { expiresAt, now }: Reservation,
): Promise<Outcome<Reservation>> {
  const options = { ack, timeoutMs: deadline.left(), id };
  const noted = await change(context, claimsReturn, place.home, { id, actor }, options);
  if (!isDone(noted.result.status)) return refusal(noted.result.status);
  return done('exists', view(id, place, 'returned', expiresAt, now), noted.ack);
}

function holdMs(result: StockReserveResult): number {
  if (result.status !== 'ok' && result.status !== 'exists') throw new InvalidArgument('a part was not held');
  return result.hold * 1000;
}

function placeOfWanted(home: number, wanted: Wanted, attempt: number): Place {
  return { home, attempt, buyerId: wanted.buyer, parts: wanted.parts };
}

/**
 * The refusal of the highest precedence; an error where a part could not be asked. An error of a part is never "unknown" to the
 * caller: without the seal, which only this process could have sent, nothing has been reserved.
 */
function firstRefusal(
  held: readonly PromiseSettledResult<CallResult<StockReserveResult>>[],
  parts: readonly Part[],
): Refusal | Error | undefined {
  let refused: Refusal | undefined;
  let failed: Error | undefined;
  held.forEach((part, n) => {
    if (part.status === 'rejected') {
      failed ??= new ShardUnavailable('Part of the reservation could not be held; nothing was reserved.', {
        cause: part.reason,
        partition: parts[n]!.partition,
      });
    } else if (!isDone(part.value.result.status)) {
      const candidate = lineRefusal(part.value.result, parts[n]!);
      if (!refused || statuses[candidate.status].number < statuses[refused.status].number) refused = candidate;
    }
  });
  return refused ?? failed;
}

/**
 * Undoes the parts of an attempt, then its claim. Best effort: what cannot be reached is undone by the sweep. A part whose
 * reserve may still be on its way comes after the abort at worst, and then goes back when it is due.
 */
async function giveUp(context: Context, home: number, wanted: Wanted, attempt: number): Promise<void> {
  const options = { ack: 'executed', timeoutMs: wanted.deadline.left(), id: wanted.id } as const;
  await Promise.allSettled(
    wanted.parts.map((part) =>
      context.caller.call(
        stockAbort,
        part.partition,
        { id: wanted.id, attempt, actor: wanted.actor, lines: part.lines },
        options,
      ),
    ),
  );
  await Promise.allSettled([context.caller.call(claimsAbort, home, { id: wanted.id, attempt }, options)]);
}

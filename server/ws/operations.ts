/**
 * What a request of each kind does. The engine checks ids, quantities and limits itself; here only the shape is read. Who may
 * do what is as over HTTP: the same functions decide.
 */
import type { Known } from '../../engine/index.js';
import type { ItemRef, Outcome, Reservation, StockLevel } from '../../engine/types.js';
import { ACKS, DONE, LEVEL_COLUMNS, OP, RESERVATION_COLUMNS, STATES } from '../../wire/stream.js';
import type { Caller } from '../auth/caller.js';
import { refused } from '../http/failures.js';
import { refsOf } from '../limits/gate.js';
import { invalidField, problem, problemOfStatus } from '../http/problems.js';
import { buyerFor } from '../routes/acting.js';
import { checkOwner, mayTouch, notFound } from '../routes/reservations.js';
import { isId } from '../schemas/ids.js';
import type { Connection } from './connection.js';
import type { Hub } from './hub.js';
import { writeLevel } from './topics.js';

type Operation = (hub: Hub, c: Connection, id: number, request: unknown[]) => void;

export const OPERATIONS: readonly (Operation | undefined)[] = table({
  [OP.auth]: auth,
  [OP.ping]: (_hub, c, id) => c.done(id, 3).number(Date.now()),
  [OP.items]: items,
  [OP.reserve]: reserve,
  [OP.confirm]: (hub, c, id, r) =>
    change(hub, c, id, text(r[2], 'reservationId'), (who) =>
      hub.services.engine.reservations.confirm(who, c.callOptions(r[3])),
    ),
  [OP.release]: (hub, c, id, r) =>
    change(hub, c, id, text(r[2], 'reservationId'), (who) =>
      hub.services.engine.reservations.release(who, c.callOptions(r[3])),
    ),
  [OP.extend]: extend,
  [OP.find]: find,
  [OP.return]: giveBack,
  [OP.deduct]: deduct,
  [OP.stock]: stock,
  [OP.subscribe]: subscribe,
  [OP.unsubscribe]: (_hub, c, id, r) => {
    for (const number of list(r[2], 'items')) if (typeof number === 'number') c.subscriptions.remove(number);
    c.done(id, 2);
  },
});

function table(operations: Record<number, Operation>): (Operation | undefined)[] {
  const byNumber: (Operation | undefined)[] = [];
  for (const [number, operation] of Object.entries(operations)) byNumber[Number(number)] = operation;
  return byNumber;
}

// ── who, which items ──

/** A token, the first one or the next of the same subject: a connection belongs to one. */
function auth(hub: Hub, c: Connection, id: number, r: unknown[]): void {
  const header = `Bearer ${text(r[2], 'token')}`;
  const taken = (caller: Caller): void => {
    if (c.caller !== undefined && (c.caller.sub !== caller.sub || c.caller.role !== caller.role))
      throw problem('forbidden', 'A connection belongs to one subject and role; open another for another.');
    c.identify(caller);
    c.done(id, 3).number(caller.expiresAt);
  };
  const found = hub.services.auth.authenticate(header);
  if (!(found instanceof Promise)) return taken(found);
  c.settle(id, found, (_c, _id, caller) => taken(caller));
  // What comes behind the token is asked in its name.
  c.hold(found);
}

function items(hub: Hub, c: Connection, id: number, r: unknown[]): void {
  const refs = list(r[3], 'items', hub.limits.itemsPerRequest);
  if (r[2] !== c.items.length) throw invalidField('first', `must be ${c.items.length}, the number of items so far`);
  if (c.items.length + refs.length > hub.limits.items)
    throw invalidField('items', `a connection may declare ${hub.limits.items}`);
  c.items.push(...refs.map(parseRef));
  c.refs.push(...(refs as string[]));
  c.done(id, 2);
}

function parseRef(ref: unknown): ItemRef {
  const at = typeof ref === 'string' ? ref.indexOf(':') : -1;
  if (at < 0) throw invalidField('item', 'must be location:sku');
  const location = (ref as string).slice(0, at);
  const sku = (ref as string).slice(at + 1);
  if (!isId(location) || !isId(sku)) throw invalidField('item', 'location and sku are 1 to 128 of A-Z a-z 0-9 . _ - ~');
  return { location, sku };
}

function itemOf(c: Connection, value: unknown): ItemRef {
  if (typeof value !== 'number') return parseRef(value);
  const known = c.items[value];
  if (known === undefined) throw invalidField('item', 'no item was declared under this number');
  return known;
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw invalidField(field, 'must be a string');
  return value;
}

function optionalText(value: unknown, field: string): string | undefined {
  return value === undefined || value === null ? undefined : text(value, field);
}

function list(value: unknown, field: string, most = Infinity): unknown[] {
  if (!Array.isArray(value) || value.length > most) throw invalidField(field, `must be a list of at most ${most}`);
  return value;
}

function mayRead(hub: Hub, c: Connection): void {
  if (!hub.services.publicReads) void c.who;
}

// ── reservations ──

function reserve(hub: Hub, c: Connection, id: number, r: unknown[]): void {
  const { who } = c;
  const flat = list(r[3], 'lines');
  const lines = new Array<ItemRef & { quantity: number }>(flat.length >> 1);
  for (let index = 0; index < lines.length; index++) {
    const { location, sku } = itemOf(c, flat[2 * index]);
    lines[index] = { location, sku, quantity: flat[2 * index + 1] as number };
  }
  const request = {
    reservationId: optionalText(r[2], 'reservationId'),
    buyerId: buyerFor(who, optionalText(r[4], 'buyerId')),
    lines,
    holdSeconds: (r[5] ?? undefined) as number | undefined,
  };
  const { engine, soldOut, gate } = hub.services;
  gate.admit('hold', refsOf(lines));
  const lineOf = (ref: string) => lines.findIndex(({ location, sku }) => `${location}:${sku}` === ref);
  const options = c.callOptions(r[6]);
  // An id that was used before may belong to an answer that was lost: it has to be given again.
  if ((request.reservationId === undefined || r[7] === true) && !soldOut.isEmpty) {
    const gone = soldOut.find(lines.map(({ location, sku }) => `${location}:${sku}`));
    if (gone !== undefined) return c.refuse(id, 'insufficient_stock', 0, lineOf(gone));
  }
  c.settle(id, engine.reservations.reserve(request, options), (_c, _id, outcome) => {
    if ('value' in outcome) return writeReservation(c, id, outcome);
    const { item } = outcome;
    const ref = item && `${item.location}:${item.sku}`;
    const line = ref === undefined ? undefined : lineOf(ref);
    if (outcome.status === 'insufficient_stock' && outcome.available === 0 && ref !== undefined) soldOut.learn(ref);
    c.refuse(id, problemOfStatus(outcome.status).code, outcome.available, line);
  });
}

function writeReservation(c: Connection, id: number, outcome: Outcome<Reservation>): void {
  if (!('value' in outcome)) throw refused(outcome);
  const { reservationId, status, expiresAt, now } = outcome.value;
  const writer = c.done(id, RESERVATION_COLUMNS, outcome.status === 'exists');
  writer.text(reservationId);
  writer.number(STATES.indexOf(status));
  writer.number(expiresAt);
  writer.number(now);
  writer.number(ACKS.indexOf(outcome.ack));
}

/** Changes one reservation; for a buyer, only its own exist. */
function change(
  { services: { engine } }: Hub,
  c: Connection,
  id: number,
  reservationId: string,
  act: (reservationId: string) => Promise<Outcome<Reservation>>,
): void {
  const { who } = c;
  const call =
    who.role === 'buyer' ? checkOwner(engine, who, reservationId).then(() => act(reservationId)) : act(reservationId);
  c.settle(id, call, writeReservation);
}

function extend(hub: Hub, c: Connection, id: number, r: unknown[]): void {
  const holdSeconds = r[3] as number;
  const reservationId = text(r[2], 'reservationId');
  hub.services.gate.admit('write', [reservationId]);
  change(hub, c, id, reservationId, () =>
    hub.services.engine.reservations.extend(reservationId, holdSeconds, c.callOptions(r[4])),
  );
}

function giveBack(hub: Hub, c: Connection, id: number, r: unknown[]): void {
  const flat = r[3] === undefined || r[3] === null ? undefined : list(r[3], 'lines');
  const lines: (ItemRef & { quantity?: number })[] = [];
  for (let index = 0; flat !== undefined && index < flat.length; index += 2)
    lines.push({ ...itemOf(c, flat[index]), quantity: (flat[index + 1] ?? undefined) as number | undefined });
  change(hub, c, id, text(r[2], 'reservationId'), (reservationId) =>
    hub.services.engine.reservations.return(reservationId, flat && lines, c.callOptions(r[4])),
  );
}

function find({ services: { engine, database } }: Hub, c: Connection, id: number, r: unknown[]): void {
  const { who } = c;
  const reservationId = text(r[2], 'reservationId');
  const look = async (): Promise<Reservation> => {
    const found = (await engine.reservations.find(reservationId)) ?? (await database?.findReservation(reservationId));
    if (found === undefined || !mayTouch(who, found)) throw notFound();
    return found;
  };
  c.settle(id, look(), writeFound);
}

function writeFound(c: Connection, id: number, found: Reservation): void {
  const writer = c.done(id, 8);
  writer.text(found.reservationId);
  writer.number(STATES.indexOf(found.status));
  writer.number(found.expiresAt);
  writer.number(found.now);
  writer.text(found.buyerId);
  writer.array(found.lines.length * 3);
  for (const { location, sku, quantity, returned } of found.lines) {
    writer.text(`${location}:${sku}`);
    writer.number(quantity);
    writer.number(returned);
  }
}

// ── stock ──

function deduct({ services: { engine, gate } }: Hub, c: Connection, id: number, r: unknown[]): void {
  const { who } = c;
  const request = {
    quantity: r[3] as number,
    orderId: text(r[4], 'orderId'),
    buyerId: buyerFor(who, optionalText(r[5], 'buyerId')),
  };
  const item = itemOf(c, r[2]);
  gate.admit('hold', refsOf([item]));
  c.settle(id, engine.stock.deduct(item, request, c.callOptions(r[6])), writeDeducted);
}

function writeDeducted(c: Connection, id: number, outcome: Outcome<StockLevel>): void {
  if (!('value' in outcome)) throw refused(outcome);
  const writer = c.done(id, 3 + LEVEL_COLUMNS, outcome.status === 'exists');
  writer.number(ACKS.indexOf(outcome.ack));
  writeLevel(writer, outcome.value);
}

function stock(hub: Hub, c: Connection, id: number, r: unknown[]): void {
  mayRead(hub, c);
  const wanted = list(r[2], 'items', hub.limits.itemsPerRequest);
  const { cache } = hub.services;
  const fresh = r[3] === true;
  const now = performance.now();
  const found = new Array<Known['entry']>(wanted.length);
  let staleMs = 0;
  let missing = false;
  for (let index = 0; index < wanted.length && !missing; index++) {
    const entry = fresh ? undefined : cache.hit(refOf(c, wanted[index]), now);
    if (entry === undefined) missing = true;
    else {
      found[index] = entry;
      const age = cache.ageOf(entry, now);
      if (age > staleMs) staleMs = age;
    }
  }
  if (!missing) return writeStock(c, id, found, staleMs);
  // Some have to be read: then all are asked for together, those at hand included.
  const reads = wanted.map((value) => cache.get(refOf(c, value), fresh));
  c.settle(id, Promise.all(reads), (_c, _id, known) =>
    writeStock(
      c,
      id,
      known.map(({ entry }) => entry),
      known.reduce((most, one) => Math.max(most, one.staleMs), 0),
    ),
  );
}

function refOf(c: Connection, value: unknown): string {
  const known = typeof value === 'number' ? c.refs[value] : undefined;
  if (known !== undefined) return known;
  const { location, sku } = itemOf(c, value);
  return `${location}:${sku}`;
}

function writeStock(c: Connection, id: number, found: readonly Known['entry'][], staleMs: number): void {
  const writer = c.begin(4);
  writer.number(id);
  writer.number(DONE);
  writer.number(staleMs);
  writer.array(found.length * LEVEL_COLUMNS);
  for (const entry of found) writeLevel(writer, entry.exists ? entry : undefined);
}

function subscribe(hub: Hub, c: Connection, id: number, r: unknown[]): void {
  mayRead(hub, c);
  const numbers = list(r[2], 'items', hub.limits.itemsPerRequest);
  if (c.subscriptions.size + numbers.length > hub.limits.subscriptions)
    throw invalidField('items', `a connection may be subscribed to ${hub.limits.subscriptions}`);
  for (const number of numbers)
    if (typeof number !== 'number' || c.items[number] === undefined)
      throw invalidField('items', 'only numbers of declared items can be subscribed to');
  for (const number of numbers as number[]) c.subscriptions.add(number);
  c.done(id, 2);
}

/** Changing stock: settings, restock, adjust, deduct. (S4, S6, S8) */
import type { Ack, ItemRef, Outcome, StockItem, StockLevel, StockSettings } from '../../engine/types.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import type { Exchange } from '../http/exchange.js';
import { refused } from '../http/failures.js';
import { invalidField } from '../http/problems.js';
import { route, type Answer, type Route } from '../http/route.js';
import { type Gate, type Load, refsOf } from '../limits/gate.js';
import {
  AdjustBody,
  ConfigureBody,
  DeductBody,
  RestockBody,
  StockChangeOut,
  StockItemOut,
  type SettingsInput,
} from '../schemas/stock.js';
import { buyerOf, callOptions, changed, time } from './acting.js';
import { levelBody } from './stock.js';
import type { Services } from './services.js';

const CHANGE_PROBLEMS = ['shard_unavailable', 'overloaded', 'outcome_unknown'];
const CHANGED = { description: 'The item after the change.', schema: StockChangeOut };
const NOT_YET_DURABLE = {
  description: 'Done, but not durable in time; repeat to wait for it.',
  schema: StockChangeOut,
};

/** The item of the address, unless its partition is closed for such a change. */
function admitted(x: Exchange, gate: Gate, load: Load): ItemRef {
  const ref = item(x);
  gate.admit(load, refsOf([ref]));
  return ref;
}

const item = (x: Exchange): ItemRef => ({ location: x.param(0), sku: x.param(1) });

export function stockChangeRoutes(services: Services): Route[] {
  return [configureRoute(services), restockRoute(services), adjustRoute(services), deductRoute(services)];
}

function configureRoute({ engine: { stock }, gate }: Services): Route {
  // The change is made: an answer that only lacks the settings must not be one that says it was not.
  const settingsOf = async (ref: ItemRef): Promise<StockItem['settings'] | undefined> => {
    try {
      return (await stock.check([ref]))[0]?.settings;
    } catch {
      return undefined;
    }
  };
  return route({
    method: 'put',
    path: '/v1/stock/{location}/{sku}',
    operationId: 'configureStock',
    tag: 'Stock',
    summary: 'Create an item or change its settings.',
    description: 'Settings that are left out stay as they are; `null` removes one.',
    access: ['admin'],
    body: ConfigureBody,
    bodyOptional: true,
    answers: {
      200: { description: 'The item with its settings.', schema: StockItemOut },
      201: { description: 'The item is new.', schema: StockItemOut },
      202: { description: 'Done, but not durable in time; repeat to wait for it.', schema: StockItemOut },
    },
    problems: CHANGE_PROBLEMS,
    handle: async (x, { body: { ack, ...settings } }) => {
      const options = callOptions(x, ack);
      const outcome = await stock.configure(admitted(x, gate, 'write'), toSettings(settings), options);
      if (!('value' in outcome)) throw refused(outcome);
      const body = itemBody(outcome.value, await settingsOf(item(x)), outcome.ack);
      return changed(outcome.value.created ? 201 : 200, body, options.ack);
    },
  });
}

function restockRoute({ engine: { stock }, gate }: Services): Route {
  return route({
    method: 'post',
    path: '/v1/stock/{location}/{sku}/restock',
    operationId: 'restock',
    tag: 'Stock',
    summary: 'Units come in.',
    access: ['admin'],
    body: RestockBody,
    idempotent: true,
    idField: 'movementId',
    answers: { 200: CHANGED, 202: NOT_YET_DURABLE },
    problems: ['sku_not_found', 'id_conflict', 'stock_limit', ...CHANGE_PROBLEMS],
    handle: async (x, { body: { quantity, reason, movementId = x.changeId, ack } }) => {
      const options = callOptions(x, ack);
      const request = { quantity, reason: checkText('reason', reason), movementId };
      return levelAnswer(await stock.restock(admitted(x, gate, 'write'), request, options), options.ack);
    },
  });
}

function adjustRoute({ engine: { stock }, gate }: Services): Route {
  return route({
    method: 'post',
    path: '/v1/stock/{location}/{sku}/adjust',
    operationId: 'adjust',
    tag: 'Stock',
    summary: 'Correct the count, by a difference or to a physical count.',
    description: 'Neither may leave fewer units than are reserved.',
    access: ['admin'],
    body: AdjustBody,
    idempotent: true,
    idField: 'movementId',
    answers: { 200: CHANGED, 202: NOT_YET_DURABLE },
    problems: ['sku_not_found', 'id_conflict', 'insufficient_stock', 'stock_limit', ...CHANGE_PROBLEMS],
    handle: async (x, { body: { by, countedTo, reason, movementId = x.changeId, ack } }) => {
      if ((by === undefined) === (countedTo === undefined))
        throw invalidField('by', 'exactly one of by and countedTo is needed');
      if (by === 0) throw invalidField('by', 'must not be 0');
      const options = callOptions(x, ack);
      const request = { by, countedTo, reason: checkText('reason', reason) ?? '', movementId };
      return levelAnswer(await stock.adjust(admitted(x, gate, 'write'), request, options), options.ack);
    },
  });
}

function deductRoute({ engine: { stock }, gate }: Services): Route {
  return route({
    method: 'post',
    path: '/v1/stock/{location}/{sku}/deduct',
    operationId: 'deduct',
    tag: 'Stock',
    summary: 'Sell in one step, without a hold.',
    access: ['buyer', 'service', 'admin'],
    body: DeductBody,
    idempotent: true,
    load: 'hold',
    idField: 'orderId',
    answers: { 200: CHANGED, 202: NOT_YET_DURABLE },
    problems: [
      'forbidden',
      'sku_not_found',
      'id_conflict',
      'admission_required',
      'not_on_sale',
      'buyer_limit',
      'insufficient_stock',
      ...CHANGE_PROBLEMS,
    ],
    handle: async (x, { body: { quantity, orderId, buyerId, ack } }) => {
      const options = callOptions(x, ack);
      const request = { quantity, orderId, buyerId: buyerOf(x, buyerId) };
      return levelAnswer(await stock.deduct(admitted(x, gate, 'hold'), request, options), options.ack);
    },
  });
}

function levelAnswer(outcome: Outcome<StockLevel>, wanted: Ack | undefined): Answer {
  if (!('value' in outcome)) throw refused(outcome);
  return changed(200, { ...levelBody(outcome.value), ack: outcome.ack }, wanted);
}

function itemBody(level: StockLevel, known: StockItem['settings'] | undefined, ack: Ack) {
  if (known === undefined) return { ...levelBody(level), ack };
  const { opensAt, closesAt, ...rest } = known;
  const settings = {
    ...rest,
    ...(opensAt === undefined ? {} : { opensAt: time(opensAt) }),
    ...(closesAt === undefined ? {} : { closesAt: time(closesAt) }),
  };
  return { ...levelBody(level), settings, ack };
}

export function toSettings({ opensAt, closesAt, ...rest }: SettingsInput): StockSettings {
  return {
    ...rest,
    ...(opensAt === undefined ? {} : { opensAt: opensAt === null ? null : Date.parse(opensAt) }),
    ...(closesAt === undefined ? {} : { closesAt: closesAt === null ? null : Date.parse(closesAt) }),
  };
}

/** JSON Schema counts characters, the log counts bytes. */
export function checkText<T extends string | undefined>(field: string, text: T): T {
  if (text !== undefined && Buffer.byteLength(text) > limits.text_bytes) {
    throw invalidField(field, `at most ${limits.text_bytes} bytes in UTF-8`);
  }
  return text;
}

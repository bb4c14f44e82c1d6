/** Reading stock. (S1, S2, S10) */
import type { HttpRequest } from 'uWebSockets.js';
import type { NearCache } from '../../engine/cache/near-cache.js';
import type { ItemRef, StockLevel } from '../../engine/types.js';
import { invalidField, Problem, problem, problemOfStatus } from '../http/problems.js';
import { route, type Answer, type Route } from '../http/route.js';
import { Batches, refsOfJson, refsOfPacked, refsOfQuery, type Cut } from '../cache/batches.js';
import { jsonItem, packedItem } from '../cache/fragments.js';
import type { StockRead } from '../cache/reader.js';
import { JSON_TYPE, MESSAGEPACK_TYPE } from '../http/encode.js';
import type { Exchange } from '../http/exchange.js';
import { acceptsGzip } from '../http/negotiate.js';
import { MAX_ITEMS, ReadManyQuery, ReadQuery, StockLevelOut, StockLevels, StockQueryBody } from '../schemas/stock.js';
import { time } from './acting.js';
import type { Services } from './services.js';

type Found = (StockRead | undefined)[];

export function stockRoutes({ reader, cache }: Services): Route[] {
  const memory = fromMemory(cache);
  const one = (item: ItemRef, fresh: boolean): Answer | Promise<Answer> => {
    const found = reader.read([item], fresh);
    return found instanceof Promise ? found.then((ready) => single(item, ready)) : single(item, found);
  };
  const many = (items: ItemRef[], fresh: boolean): Answer | Promise<Answer> => {
    const found = reader.read(items, fresh);
    return found instanceof Promise ? found.then((ready) => several(items, ready)) : several(items, found);
  };
  return [
    route({
      method: 'get',
      path: '/v1/stock/{location}/{sku}',
      operationId: 'getStock',
      tag: 'Stock',
      summary: 'Check one item.',
      access: 'read',
      query: ReadQuery,
      answers: { 200: { description: 'The counts.', schema: StockLevelOut } },
      problems: ['sku_not_found', 'shard_unavailable', 'overloaded'],
      instant: memory.one,
      handle: (x, { query }) => one({ location: x.param(0), sku: x.param(1) }, query.fresh === true),
    }),
    route({
      method: 'get',
      path: '/v1/stock',
      operationId: 'getStockOfMany',
      tag: 'Stock',
      summary: `Check up to ${MAX_ITEMS} items.`,
      description: 'In the order asked. Longer lists than an address can hold go to `POST /v1/stock/query`.',
      access: 'read',
      query: ReadManyQuery,
      answers: { 200: { description: 'The counts, in the order asked.', schema: StockLevels } },
      problems: ['shard_unavailable', 'overloaded'],
      instant: memory.many,
      quick: memory.quick,
      handle: (_x, { query }) => many(parseItems(query.items), query.fresh === true),
    }),
    route({
      method: 'post',
      path: '/v1/stock/query',
      operationId: 'queryStock',
      load: 'read',
      tag: 'Stock',
      summary: `Check up to ${MAX_ITEMS} items.`,
      access: 'read',
      query: ReadQuery,
      body: StockQueryBody,
      answers: { 200: { description: 'The counts, in the order asked.', schema: StockLevels } },
      problems: ['shard_unavailable', 'overloaded'],
      quick: memory.quick,
      handle: (_x, { query, body }) =>
        many(
          body.items.map(([location, sku]) => ({ location, sku })),
          query.fresh === true,
        ),
    }),
  ];
}

/** The ways in which requests are answered without leaving this turn of the event loop; undefined where that cannot be. */
function fromMemory(cache: NearCache) {
  const batches = new Batches(cache);
  return {
    one(this: void, req: HttpRequest, packed: boolean, now: number): Buffer | string | undefined {
      // Undefined where there is no question mark, whatever the type says.
      if (req.getQuery()) return undefined;
      const entry = cache.hit(`${req.getParameter(0)}:${req.getParameter(1)}`, now);
      if (entry === undefined || !entry.exists) return undefined;
      const staleMs = cache.ageOf(entry, now);
      return packed ? Buffer.from(packedItem(entry, staleMs), 'latin1') : jsonItem(entry, staleMs);
    },
    many(this: void, req: HttpRequest, packed: boolean, now: number): Buffer | undefined {
      const query = req.getQuery();
      // What is compressed is compressed elsewhere, in its own time.
      if (!query || acceptsGzip(req.getHeader('accept-encoding'))) return undefined;
      return batches.answer(query, refsOfQuery, packed, now);
    },
    quick(this: void, x: Exchange, body: Buffer): Answer | undefined {
      const packed = x.wantsMessagePack;
      const found = listOf(x, body, (list, cut) => batches.answer(list, cut, packed, performance.now()));
      if (found === undefined) return undefined;
      const bytes = x.wantsGzip ? Buffer.from(found) : found;
      return { status: 200, raw: { type: packed ? MESSAGEPACK_TYPE : JSON_TYPE, bytes } };
    },
  };
}

/** The list as it stands in the request, and how to read it. */
function listOf<T>(x: Exchange, body: Buffer, read: (list: string, cut: Cut) => T): T | undefined {
  if (x.route.method === 'get') return read(x.query, refsOfQuery);
  if (x.query !== '') return undefined;
  if (x.contentType === JSON_TYPE) return read(body.toString('latin1'), refsOfJson);
  return x.contentType === MESSAGEPACK_TYPE ? read(body.toString('latin1'), refsOfPacked) : undefined;
}

export function levelBody(level: StockLevel) {
  const { location, sku, available, reserved, sold, version, updatedAt } = level;
  return { location, sku, available, reserved, sold, version, updatedAt: time(updatedAt) };
}

export function unknownItem(item: ItemRef): Problem {
  const kind = problemOfStatus('sku_not_found');
  return new Problem(kind, `${item.location}:${item.sku}: ${kind.description}`, {
    errors: [{ location: item.location, sku: item.sku, code: kind.code }],
  });
}

function single(item: ItemRef, found: Found): Answer {
  const read = found[0];
  if (read === undefined) throw unknownItem(item);
  return { status: 200, body: { ...levelBody(read.level), staleMs: read.staleMs } };
}

function several(items: readonly ItemRef[], found: Found): Answer {
  return {
    status: 200,
    body: {
      items: items.map((item, index) => {
        const read = found[index];
        if (read === undefined) return { location: item.location, sku: item.sku, code: 'sku_not_found' };
        return { ...levelBody(read.level), staleMs: read.staleMs };
      }),
    },
  };
}

/** The pattern has been checked: what is left is the number of items. */
function parseItems(text: string): ItemRef[] {
  const parts = text.split(',');
  if (parts.length > MAX_ITEMS) throw invalidField('items', `at most ${MAX_ITEMS} items`);
  return parts.map((part) => {
    const colon = part.indexOf(':');
    if (colon < 1) throw problem('invalid_request');
    return { location: part.slice(0, colon), sku: part.slice(colon + 1) };
  });
}

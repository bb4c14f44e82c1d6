/** The stock domain: counts and settings of items. */
import type { Context } from '../context.js';
import type { StockApi } from '../types.js';
import { adjust } from './adjust.js';
import { check } from './check.js';
import { configure } from './configure.js';
import { deduct } from './deduct.js';
import { restock } from './restock.js';

export function stockApi(context: Context): StockApi {
  return {
    check: (items, options) => check(context, items, options),
    configure: (item, settings, options) => configure(context, item, settings, options),
    restock: (item, request, options) => restock(context, item, request, options),
    adjust: (item, request, options) => adjust(context, item, request, options),
    deduct: (item, request, options) => deduct(context, item, request, options),
  };
}

/** Stock in bulk: what files bring in and take out. (S12) */
import { problem } from '../http/problems.js';
import { route, type Route } from '../http/route.js';
import { ExportPage, ImportBody, ImportResults, PageQuery } from '../schemas/stock.js';
import { callOptions } from './acting.js';
import { Importer } from './import-rows.js';
import { levelBody } from './stock.js';
import { checkText } from './stock-changes.js';
import type { Services } from './services.js';

/** 500 rows with full attributes and settings, generously escaped. */
const MAX_IMPORT_BYTES = 6 * 1024 * 1024;

export function importExportRoutes({ engine, database, gate }: Services): Route[] {
  const importer = new Importer(engine.stock, gate);
  return [
    route({
      method: 'post',
      path: '/v1/stock/import',
      operationId: 'importStock',
      tag: 'Stock',
      summary: 'Bring many items to their physical counts.',
      description:
        'Creates what is missing, corrects what differs. A row that cannot be taken is `rejected` and says why; the others go through. ' +
        'Repeating under the same `importId` and `line`s changes nothing.',
      access: ['admin'],
      body: ImportBody,
      maxBody: MAX_IMPORT_BYTES,
      idempotent: true,
      answers: { 200: { description: 'One result a row, in the order of the rows.', schema: ImportResults } },
      problems: ['shard_unavailable', 'overloaded', 'outcome_unknown'],
      handle: async (x, { body }) => {
        const batch = {
          importId: body.importId,
          reason: checkText('reason', body.reason),
          options: callOptions(x, undefined),
        };
        return { status: 200, body: { results: await importer.run(body.rows, batch) } };
      },
    }),
    route({
      method: 'get',
      path: '/v1/stock/export',
      operationId: 'exportStock',
      tag: 'Stock',
      summary: 'Every item, page by page, in order of location and sku.',
      description: 'From Postgres: as of the last persisted change.',
      access: ['admin'],
      query: PageQuery,
      answers: { 200: { description: 'A page of items.', schema: ExportPage } },
      problems: ['database_unavailable'],
      handle: async (_x, { query: { after, limit = 100 } }) => {
        if (database === undefined) throw problem('database_unavailable', 'No database is configured.');
        const rows = await database.exportItems(after, limit + 1);
        const items = rows.slice(0, limit);
        const last = items.at(-1);
        const next = rows.length > limit && last !== undefined ? `${last.location}:${last.sku}` : null;
        return {
          status: 200,
          body: { items: items.map((row) => ({ ...levelBody(row), attributes: row.attributes })), next },
        };
      },
    }),
  ];
}

/** Stock in bulk: what files bring in and take out. (S12) */
import type { CallOptions, ItemRef, StockItem } from '../../engine/types.js';
import { problem, Problem, problemOfStatus } from '../http/problems.js';
import { InvalidArgument } from '../../engine/errors.js';
import { route, type Route } from '../http/route.js';
import {
  ExportPage,
  ImportBody,
  ImportResults,
  ImportRow,
  MAX_ATTRIBUTE_BYTES,
  PageQuery,
  type ImportRowInput,
} from '../schemas/stock.js';
import { validator } from '../schemas/validate.js';
import { isId } from '../schemas/ids.js';
import { callOptions } from './acting.js';
import { levelBody } from './stock.js';
import { checkText, toSettings } from './stock-changes.js';
import type { Services } from './services.js';

/** 500 rows with full attributes and settings, generously escaped. */
const MAX_IMPORT_BYTES = 6 * 1024 * 1024;

interface RowResult {
  readonly line?: number;
  readonly location: string;
  readonly sku: string;
  readonly status: 'created' | 'adjusted' | 'unchanged' | 'rejected';
  readonly code?: string;
  readonly detail?: string;
  readonly available?: number;
}

interface Batch {
  readonly importId: string;
  readonly reason: string;
  readonly options: CallOptions;
}

const rowValidator = validator(ImportRow);

export function importExportRoutes({ engine, database }: Services): Route[] {
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
        return { status: 200, body: { results: await importRows(body.rows, batch) } };
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

  async function importRows(rows: readonly unknown[], batch: Batch): Promise<RowResult[]> {
    const parsed = rows.map(parseRow);
    const wanted = parsed.filter((row): row is ImportRowInput => !('status' in row));
    const known = await currentLevels(wanted);
    // Rows of the same item go one after another, the last count stands; different items do not wait for each other.
    const ahead = new Map<string, Promise<RowResult>>();
    return Promise.all(
      parsed.map((row, index) => {
        if ('status' in row) return row;
        const ref = refOf(row);
        const first = ahead.get(ref);
        const result =
          first === undefined
            ? importRow(row, index, known.get(ref), batch)
            : first.then(() => importAgain(row, index, batch));
        ahead.set(ref, result);
        return result;
      }),
    );
  }

  async function currentLevels(rows: readonly ItemRef[]): Promise<Map<string, StockItem>> {
    if (rows.length === 0) return new Map();
    const levels = await engine.stock.check(rows.map(({ location, sku }) => ({ location, sku })));
    return new Map(levels.filter((level) => level !== undefined).map((level) => [refOf(level), level]));
  }

  async function importAgain(row: ImportRowInput, index: number, batch: Batch): Promise<RowResult> {
    const [known] = await engine.stock.check([{ location: row.location, sku: row.sku }]);
    return importRow(row, index, known, batch);
  }

  async function importRow(
    row: ImportRowInput,
    index: number,
    before: StockItem | undefined,
    { importId, reason, options }: Batch,
  ): Promise<RowResult> {
    const { location, sku, countedTo, settings, attributes } = row;
    const item = { location, sku };
    try {
      let created = false;
      if (before === undefined || settings !== undefined || attributes !== undefined) {
        const configured = await engine.stock.configure(item, { ...toSettings(settings ?? {}), attributes }, options);
        if (!('value' in configured)) return rejected(row, problemOfStatus(configured.status));
        created = configured.value.created;
      }
      const movementId = `${importId}-${row.line ?? index}`;
      const adjusted = await engine.stock.adjust(item, { countedTo, reason, movementId }, options);
      if (!('value' in adjusted)) return rejected(row, problemOfStatus(adjusted.status), adjusted.available);
      const same =
        adjusted.status === 'exists' || (before !== undefined && before.available + before.reserved === countedTo);
      const status = created ? 'created' : same ? 'unchanged' : 'adjusted';
      return { ...place(row), status, available: adjusted.value.available };
    } catch (error) {
      if (error instanceof InvalidArgument)
        return rejected(row, { code: 'invalid_request', description: error.message });
      throw error;
    }
  }
}

const refOf = ({ location, sku }: ItemRef): string => `${location}:${sku}`;

const place = ({ line, location, sku }: { line?: number; location: string; sku: string }) => ({
  ...(line === undefined ? {} : { line }),
  location,
  sku,
});

function rejected(
  row: { line?: number; location: string; sku: string },
  { code, description }: { code: string; description: string },
  available?: number,
): RowResult {
  return {
    ...place(row),
    status: 'rejected',
    code,
    detail: description,
    ...(available === undefined ? {} : { available }),
  };
}

/** A row, or the result that says why it is none. */
function parseRow(row: unknown): ImportRowInput | RowResult {
  try {
    const parsed = rowValidator.parse(row);
    if (parsed.attributes !== undefined && Buffer.byteLength(JSON.stringify(parsed.attributes)) > MAX_ATTRIBUTE_BYTES) {
      return rejected(parsed, {
        code: 'invalid_request',
        description: `attributes: at most ${MAX_ATTRIBUTE_BYTES} bytes as JSON.`,
      });
    }
    return parsed;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const seen = (typeof row === 'object' && row !== null ? row : {}) as Record<string, unknown>;
    const text = (value: unknown): string => (typeof value === 'string' && isId(value) ? value : '');
    const line = typeof seen['line'] === 'number' && Number.isSafeInteger(seen['line']) ? seen['line'] : undefined;
    return rejected(
      { line, location: text(seen['location']), sku: text(seen['sku']) },
      { code: error.kind.code, description: error.detail },
    );
  }
}

/** The rows of an import, one by one: what becomes of each, and why. (S12) */
import { InvalidArgument } from '../../engine/errors.js';
import type { CallOptions, ItemRef, StockApi, StockItem } from '../../engine/types.js';
import { Problem, problemOfStatus } from '../http/problems.js';
import { type Gate, refsOf } from '../limits/gate.js';
import { isId } from '../schemas/ids.js';
import { ImportRow, MAX_ATTRIBUTE_BYTES, type ImportRowInput } from '../schemas/stock.js';
import { validator } from '../schemas/validate.js';
import { toSettings } from './stock-changes.js';

export interface RowResult {
  readonly line?: number;
  readonly location: string;
  readonly sku: string;
  readonly status: 'created' | 'adjusted' | 'unchanged' | 'rejected';
  readonly code?: string;
  readonly detail?: string;
  readonly available?: number;
}

export interface Batch {
  readonly importId: string;
  readonly reason: string;
  readonly options: CallOptions;
}

const rowValidator = validator(ImportRow);

export class Importer {
  constructor(
    private readonly stock: StockApi,
    private readonly gate: Gate,
  ) {}

  /**
   * One result a row, in the order of the rows. A row that is refused does not keep the others from going through.
   * @throws Problem `overloaded`, before anything is done, where the partition of a row is closed; the engine's errors: then some rows may be done, and the same import again finds them done
   */
  async run(rows: readonly unknown[], batch: Batch): Promise<RowResult[]> {
    const parsed = rows.map(parseRow);
    const wanted = parsed.filter((row): row is ImportRowInput => !('status' in row));
    this.gate.admit('write', refsOf(wanted));
    const known = await this.currentLevels(wanted);
    // Rows of the same item go one after another, the last count stands; different items do not wait for each other.
    const ahead = new Map<string, Promise<RowResult>>();
    return Promise.all(
      parsed.map((row, index) => {
        if ('status' in row) return Promise.resolve(row);
        const ref = refOf(row);
        const first = ahead.get(ref);
        const result =
          first === undefined
            ? this.importRow(row, index, known.get(ref), batch)
            : first.then(() => this.importAgain(row, index, batch));
        ahead.set(ref, result);
        return result;
      }),
    );
  }

  private async currentLevels(rows: readonly ItemRef[]): Promise<Map<string, StockItem>> {
    if (rows.length === 0) return new Map();
    const levels = await this.stock.check(rows.map(({ location, sku }) => ({ location, sku })));
    return new Map(levels.filter((level) => level !== undefined).map((level) => [refOf(level), level]));
  }

  private async importAgain(row: ImportRowInput, index: number, batch: Batch): Promise<RowResult> {
    const [known] = await this.stock.check([{ location: row.location, sku: row.sku }]);
    return this.importRow(row, index, known, batch);
  }

  private async importRow(
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
        const configured = await this.stock.configure(item, { ...toSettings(settings ?? {}), attributes }, options);
        if (!('value' in configured)) return rejected(row, problemOfStatus(configured.status));
        created = configured.value.created;
      }
      const movementId = `${importId}-${row.line ?? index}`;
      const adjusted = await this.stock.adjust(item, { countedTo, reason, movementId }, options);
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

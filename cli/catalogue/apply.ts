/** Rows → the running stack: batches, several in flight, each looked at first and then applied. */
import { createHash } from 'node:crypto';
import { plan, type Action } from './plan.js';
import type { ImportBatch, ImportRow, LiveItem, RowResult } from './api.js';
import type { AcceptedRow, Outcome, RejectedRow } from './reasons.js';

/** The calls that applying needs; `Api` is the one over HTTP. */
export interface StockApi {
  query(items: [string, string][]): Promise<LiveItem[]>;
  import(batch: ImportBatch, idempotencyKey: string): Promise<RowResult[]>;
}

export interface ApplyOptions {
  importId: string;
  reason: string;
  dryRun?: boolean;
  force?: boolean;
  /** Rows a request; 500 is the server's limit. */
  batchRows?: number;
  /** Batches under way at once. */
  inFlight?: number;
  onRejected?: (row: RejectedRow) => void;
  /** Called for each applied (or, in a dry run, planned) row. */
  onAction?: (row: AcceptedRow, action: Action) => void;
  onProgress?: (counts: ApplyCounts) => void;
  signal?: AbortSignal;
}

export interface ApplyCounts {
  /** Rows and cells read from the file, blank lines left out. */
  rows: number;
  accepted: number;
  notStocked: number;
  blank: number;
  rejected: number;
  rejectedBy: Partial<Record<RejectedRow['reason'], number>>;
  created: number;
  adjusted: number;
  /** Counts that were right already. */
  same: number;
  /** Existing items that the file only reports on. */
  kept: number;
  /** Most rows that were in memory at once between reading and answer. */
  mostInFlight: number;
  /** True where the import was stopped before its end. */
  interrupted: boolean;
}

function emptyCounts(): ApplyCounts {
  return {
    rows: 0,
    accepted: 0,
    notStocked: 0,
    blank: 0,
    rejected: 0,
    rejectedBy: {},
    created: 0,
    adjusted: 0,
    same: 0,
    kept: 0,
    mostInFlight: 0,
    interrupted: false,
  };
}

/** Bytes of rows in one request, below the server's cap on bodies. */
const BATCH_BYTES = 512 * 1024;

/**
 * Walks the rows once and applies the accepted ones. A refused row is reported and the others go on; an error of the
 * connection or the token stops the import, after what is under way has been answered.
 * @throws what the API throws when its own retries are used up
 */
export async function applyRows(
  rows: AsyncIterable<Outcome>,
  api: StockApi,
  options: ApplyOptions,
): Promise<ApplyCounts> {
  const counts = emptyCounts();
  const limit = options.batchRows ?? 500;
  const width = options.inFlight ?? 4;
  const running = new Set<Promise<void>>();
  let failure: Error | undefined;
  let inFlight = 0;
  let batch: AcceptedRow[] = [];
  let bytes = 0;

  const reject = (row: RejectedRow): void => {
    counts.rejected++;
    counts.rejectedBy[row.reason] = (counts.rejectedBy[row.reason] ?? 0) + 1;
    options.onRejected?.(row);
  };
  const launch = async (): Promise<void> => {
    const mine = batch;
    [batch, bytes] = [[], 0];
    while (running.size >= width) await Promise.race(running);
    if (mine.length === 0 || failure !== undefined) return;
    const task = applyBatch(mine, api, options, counts, reject)
      .catch((error: unknown) => {
        failure ??= error instanceof Error ? error : new Error(String(error));
      })
      .finally(() => {
        inFlight -= mine.length;
        running.delete(task);
        options.onProgress?.(counts);
      });
    running.add(task);
  };

  try {
    for await (const row of rows) {
      if (failure !== undefined) break;
      if (options.signal?.aborted) {
        counts.interrupted = true;
        break;
      }
      if (row.kind === 'skipped') {
        if (row.why === 'blank') counts.blank++;
        else [counts.notStocked, counts.rows] = [counts.notStocked + 1, counts.rows + 1];
        continue;
      }
      counts.rows++;
      if (row.kind === 'rejected') {
        reject(row);
        continue;
      }
      counts.accepted++;
      batch.push(row);
      bytes += sizeOf(row);
      counts.mostInFlight = Math.max(counts.mostInFlight, ++inFlight);
      if (batch.length >= limit || bytes >= BATCH_BYTES) await launch();
    }
    if (!counts.interrupted) await launch();
  } finally {
    await Promise.all(running);
  }
  if (failure !== undefined) throw failure;
  return counts;
}

/** A guess at a row's share of a request, on the high side of nothing that matters. */
function sizeOf(row: AcceptedRow): number {
  let size = 80 + row.location.length + row.sku.length;
  for (const [name, value] of Object.entries(row.attributes)) size += name.length + 3 * value.length + 8;
  return size;
}

async function applyBatch(
  rows: AcceptedRow[],
  api: StockApi,
  options: ApplyOptions,
  counts: ApplyCounts,
  reject: (row: RejectedRow) => void,
): Promise<void> {
  const live = await api.query(rows.map((row) => [row.location, row.sku]));
  const todo: { row: AcceptedRow; action: Action & { do: 'create' | 'adjust' } }[] = [];
  rows.forEach((row, i) => {
    const action = plan(row, live[i], options.force);
    if (action.do === 'reject') return reject(refuse(row, action.reason, action.detail));
    if (action.do === 'unchanged') {
      counts[action.why]++;
      return options.onAction?.(row, action);
    }
    todo.push({ row, action });
  });
  const results = options.dryRun || todo.length === 0 ? [] : await send(todo, api, options);
  todo.forEach(({ row, action }, i) => {
    const { status, code, detail } = results[i] ?? {};
    if (status === 'rejected' || code !== undefined) {
      return reject(refuse(row, 'refused', [code, detail].filter((part) => part !== undefined).join(': ')));
    }
    // The item may have changed since it was looked at: what the server did goes before what was planned.
    const planned = action.do === 'create' ? 'created' : action.countedTo === action.was ? 'unchanged' : 'adjusted';
    const done = status ?? planned;
    counts[done === 'created' ? 'created' : done === 'unchanged' ? 'same' : 'adjusted']++;
    options.onAction?.(row, action);
  });
}

function refuse(row: AcceptedRow, reason: RejectedRow['reason'], detail: string): RejectedRow {
  const { line, sku, location, fields } = row;
  const where = `${sku} at "${row.locationName}"`;
  return { kind: 'rejected', line, reason, detail: `${where}: ${detail}`, sku, location, fields };
}

function send(
  todo: { row: AcceptedRow; action: { countedTo: number } }[],
  api: StockApi,
  options: ApplyOptions,
): Promise<RowResult[]> {
  const rows = todo.map(({ row, action }): ImportRow => {
    const { location, sku, line, attributes } = row;
    const described = Object.keys(attributes).length > 0;
    return { location, sku, countedTo: action.countedTo, line, ...(described ? { attributes } : {}) };
  });
  const batch: ImportBatch = { importId: options.importId, reason: options.reason, rows };
  // By content: a resumed import may cut its batches elsewhere, and a key must not come back with another body.
  const digest = createHash('sha256').update(JSON.stringify(batch)).digest('hex').slice(0, 32);
  return api.import(batch, `import-${digest}`);
}

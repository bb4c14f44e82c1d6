/** One import from file to summary; what `./holdfast import` and the demo run. */
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { Api, type Target } from './api.js';
import { applyRows, type ApplyCounts, type ApplyOptions, type StockApi } from './apply.js';
import type { Layout } from './layout.js';
import { openSource, readCatalogue } from './read.js';
import { CatalogueError, type Outcome, type RejectedRow } from './reasons.js';
import { RejectsFile } from './report.js';

export interface ImportOptions {
  /** Path of the file, `-` for standard input. */
  file: string;
  /** The stack; left out, the file is only checked. */
  target?: Target;
  dryRun?: boolean;
  /** Apply nothing unless every row of the file is sound. */
  strict?: boolean;
  force?: boolean;
  encodeSkus?: boolean;
  /** Id of an earlier import to go on with; made up otherwise. */
  importId?: string;
  reason?: string;
  /** File to write the rejected rows to. */
  rejects?: string;
  onLayout?: (layout: Layout, importId: string) => void;
  onRejected?: (row: RejectedRow) => void;
  onProgress?: (bytesRead: number, counts: ApplyCounts) => void;
  onRetry?: (why: string, waitMs: number) => void;
  signal?: AbortSignal;
}

export interface ImportResult {
  importId: string;
  layout: Layout['name'];
  counts: ApplyCounts;
  /** True where nothing was applied: `dryRun`, a check without a stack, or `strict` with rejected rows. */
  changedNothing: boolean;
}

const IMPORT_ID = /^[A-Za-z0-9._~-]{1,64}$/;

/**
 * @throws {CatalogueError} where the file is not a catalogue or an option is wrong; nothing was changed then
 * @throws {ApiError} where the stack does not answer or refuses the token; rows before it may have been applied, and
 *   importing again with the same `importId` goes on
 */
export async function importCatalogue(options: ImportOptions): Promise<ImportResult> {
  const importId = options.importId ?? newImportId();
  if (!IMPORT_ID.test(importId)) throw new CatalogueError('An import id is 1 to 64 of A-Z a-z 0-9 . _ ~ -.');
  if (options.strict && options.file === '-') {
    throw new CatalogueError('--strict reads the file twice and cannot be used with standard input.');
  }
  if (!options.strict || !options.target || options.dryRun) return pass(options, importId, options.target);
  const checked = await pass(options, importId, undefined);
  if (checked.counts.rejected > 0 || checked.counts.interrupted) return checked;
  // Nothing was rejected, so nothing was reported twice; the second pass opens the rejects file anew.
  return pass(options, importId, options.target);
}

/** Time first, so that ids sort; the rest tells imports of one second apart. */
function newImportId(): string {
  const stamp = new Date().toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return `imp-${stamp}-${randomBytes(4).toString('hex')}`;
}

async function pass(options: ImportOptions, importId: string, target: Target | undefined): Promise<ImportResult> {
  const { source } = await openSource(options.file);
  let bytesRead = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      bytesRead += chunk.length;
      yield chunk;
    }
  }
  const { layout, rows } = await readCatalogue(counted(), { encodeSkus: options.encodeSkus ?? false });
  options.onLayout?.(layout, importId);
  const rejects = options.rejects === undefined ? undefined : new RejectsFile(options.rejects, layout);
  const onRejected = (row: RejectedRow): void => {
    rejects?.add(row);
    options.onRejected?.(row);
  };
  const onProgress = (counts: ApplyCounts): void => options.onProgress?.(bytesRead, counts);
  const { dryRun, force, signal } = options;
  try {
    if (!target) {
      const counts = await check(rows, { onRejected, onProgress, signal });
      return { importId, layout: layout.name, counts, changedNothing: true };
    }
    const api: StockApi = new Api(target, options.onRetry ? { onRetry: options.onRetry } : {});
    const reason = options.reason ?? reasonFor(options.file);
    const counts = await applyRows(rows, api, { importId, reason, dryRun, force, signal, onRejected, onProgress });
    return { importId, layout: layout.name, counts, changedNothing: dryRun ?? false };
  } finally {
    rejects?.close();
  }
}

/** What the audit trail says: the file's name, fit for a text of 200 bytes without control characters. */
function reasonFor(file: string): string {
  const name = file === '-' ? 'standard input' : basename(file);
  // eslint-disable-next-line no-control-regex -- they are what is taken out
  return `import ${name.replace(/[\u0000-\u001f\u007f]/g, '?').slice(0, 60)}`;
}

/** The file alone: what would be accepted, without asking a stack. */
async function check(
  rows: AsyncIterable<Outcome>,
  options: Pick<ApplyOptions, 'onRejected' | 'onProgress' | 'signal'>,
): Promise<ApplyCounts> {
  const nothing: StockApi = {
    query: (items) => Promise.resolve(items.map(() => undefined)),
    import: () => Promise.reject(new Error('a check imports nothing')),
  };
  const counts = await applyRows(rows, nothing, { importId: 'check', reason: 'check', dryRun: true, ...options });
  return { ...counts, created: 0, adjusted: 0 };
}

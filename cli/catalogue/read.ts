/** A catalogue file → its layout and, row by row, what each row asks for. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { detectLayout, type Layout } from './layout.js';
import { CatalogueError, LIMITS, type Outcome } from './reasons.js';
import { csvRecords, type CsvRecord } from './records.js';
import { interpret, type RowOptions } from './rows.js';

export interface Catalogue {
  layout: Layout;
  /** The rows in the order of the file; can be walked once. */
  rows: AsyncGenerator<Outcome>;
}

/**
 * Reads the header at once and the rows as they are asked for. Memory: a batch of rows, plus one short key a row
 * to find duplicates by.
 * @throws {CatalogueError} where the file is not a catalogue; from `rows` where it has too many rows.
 */
export async function readCatalogue(source: AsyncIterable<Buffer>, options: RowOptions = {}): Promise<Catalogue> {
  const records = csvRecords(source);
  let first: CsvRecord | undefined;
  do {
    const step = await records.next();
    first = step.done ? undefined : step.value;
  } while (first?.kind === 'blank');
  if (!first) throw new CatalogueError('The file is empty.');
  if (first.kind === 'damaged') {
    await records.return(undefined);
    throw new CatalogueError(`The header (line ${first.line}) cannot be read: ${first.detail}.`);
  }
  try {
    const layout = detectLayout(first.fields);
    return { layout, rows: rowsOf(records, layout, options) };
  } catch (error) {
    await records.return(undefined);
    throw error;
  }
}

async function* rowsOf(
  records: AsyncGenerator<CsvRecord>,
  layout: Layout,
  options: RowOptions,
): AsyncGenerator<Outcome> {
  const seen = new Map<string, number>();
  for await (const record of records) {
    if (record.kind === 'blank') {
      yield { kind: 'skipped', line: record.line, why: 'blank' };
      continue;
    }
    if (record.kind === 'damaged') {
      yield { kind: 'rejected', line: record.line, reason: record.reason, detail: record.detail, text: record.text };
      continue;
    }
    for (const outcome of interpret(layout, record.fields, record.line, options)) {
      yield outcome.kind === 'accepted' ? unlessSeen(outcome, seen) : outcome;
    }
  }
}

/** The first row of a SKU at a location counts; a later one is refused and names it. */
function unlessSeen(row: Outcome & { kind: 'accepted' }, seen: Map<string, number>): Outcome {
  const key = `${row.location}:${row.sku}`;
  const earlier = seen.get(key);
  if (earlier === undefined) {
    if (seen.size >= LIMITS.rows) {
      throw new CatalogueError(`The file has more than ${LIMITS.rows} rows. Split it and import the parts.`);
    }
    seen.set(key, row.line);
    return row;
  }
  const { line, sku, location, fields } = row;
  const detail = `${row.sku} at "${row.locationName}" is already on line ${earlier}; the first row counts`;
  return { kind: 'rejected', line, reason: 'duplicate', detail, sku, location, fields };
}

/**
 * The bytes of a file (`-`: standard input) and, where known, how many they are.
 * @throws {CatalogueError} where there is no such file.
 */
export async function openSource(file: string): Promise<{ source: AsyncIterable<Buffer>; bytes?: number }> {
  if (file === '-') return { source: process.stdin as AsyncIterable<Buffer> };
  const info = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new CatalogueError(
      error.code === 'ENOENT' ? `No such file: ${file}` : `Cannot read ${file}: ${error.message}`,
    );
  });
  if (info.isDirectory()) throw new CatalogueError(`${file} is a folder, not a file.`);
  return {
    source: createReadStream(file, { highWaterMark: 64 * 1024 }),
    ...(info.isFile() ? { bytes: info.size } : {}),
  };
}

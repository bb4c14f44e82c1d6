/** One export from the running stack to a file; what `./holdfast export` runs. */
import { open, rename, rm } from 'node:fs/promises';
import { Api, type Target } from './api.js';
import { idOfName, isId } from './names.js';
import { CatalogueError } from './reasons.js';
import { catalogueText, type ExportedItem, type WriteOptions } from './write.js';

export interface ExportOptions extends WriteOptions {
  target: Target;
  /** File to write; left out or `-`, standard output. */
  out?: string;
  /** Only this location: its name as in the files, or its id. */
  location?: string;
  onProgress?: (items: number) => void;
}

/**
 * Writes every item and answers how many. A file appears whole or not at all: it is written beside its name and renamed.
 * @throws {CatalogueError} where the file cannot be written or the location cannot be one
 * @throws {ApiError} where the stack does not answer
 */
export async function exportCatalogue(options: ExportOptions): Promise<number> {
  let items = 0;
  async function* counted(): AsyncGenerator<ExportedItem> {
    for await (const item of selected(options)) {
      items++;
      yield item;
      if (items % 500 === 0) options.onProgress?.(items);
    }
  }
  const text = catalogueText(counted(), options);
  if (options.out === undefined || options.out === '-') await toStandardOutput(text);
  else await toFile(text, options.out);
  return items;
}

async function toFile(text: AsyncIterable<string>, out: string): Promise<void> {
  const part = `${out}.part-${process.pid}`;
  const cannot = (error: Error): never => {
    throw new CatalogueError(`Cannot write ${out}: ${error.message}`);
  };
  // Opened before the first request: a folder that is not there should not cost a download to find out.
  const handle = await open(part, 'wx').catch(cannot);
  try {
    for await (const piece of text) await handle.writeFile(piece).catch(cannot);
    await handle.close();
    await rename(part, out).catch(cannot);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  }
}

async function toStandardOutput(text: AsyncIterable<string>): Promise<void> {
  let closed = false;
  // Whoever reads our output may stop before its end (`| head`): that is no failure, but there is nobody to write for.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    closed = true;
  });
  for await (const piece of text) {
    if (closed) return;
    await new Promise<void>((resolve) => process.stdout.write(piece, () => resolve()));
  }
}

/** Items of the location asked for. A name and an id can be the same text; both then count. */
async function* selected(options: ExportOptions): AsyncGenerator<ExportedItem> {
  const api = new Api(options.target);
  const { location } = options;
  if (location === undefined) {
    yield* api.exportItems();
    return;
  }
  const ids = new Set([idOfName(location), isId(location) ? location : undefined]);
  ids.delete(undefined);
  if (ids.size === 0) throw new CatalogueError(`Not a location: ${JSON.stringify(location)}`);
  for await (const item of api.exportItems()) if (ids.has(item.location)) yield item;
}

/** One export from the running stack to a file; what `./holdfast export` runs. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import type { Writable } from 'node:stream';
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
  const { out } = options;
  const toFile = out !== undefined && out !== '-';
  const part = toFile ? `${out}.part-${process.pid}` : '';
  const stream: Writable = toFile ? createWriteStream(part) : process.stdout;
  let failed: Error | undefined;
  stream.on('error', (error) => (failed = error));
  let items = 0;
  async function* counted(): AsyncGenerator<ExportedItem> {
    for await (const item of selected(options)) {
      items++;
      yield item;
      if (items % 500 === 0) options.onProgress?.(items);
    }
  }
  try {
    for await (const text of catalogueText(counted(), options)) {
      if (failed) throw failed;
      if (!stream.write(text)) await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
    }
    if (!toFile) return items;
    stream.end();
    await finished(stream);
    await rename(part, out);
    return items;
  } catch (error) {
    if (toFile) {
      stream.destroy();
      await rm(part, { force: true });
    }
    // Whoever reads our standard output may stop before the end (`| head`): that is no failure.
    if (!toFile && (error as NodeJS.ErrnoException).code === 'EPIPE') return items;
    if (failed && error === failed)
      throw new CatalogueError(`Cannot write ${out ?? 'standard output'}: ${failed.message}`);
    throw error;
  }
}

/** Items of the location asked for. A name and an id can be the same text; both then count. */
async function* selected(options: ExportOptions): AsyncGenerator<ExportedItem> {
  const api = new Api(options.target);
  if (options.location === undefined) {
    yield* api.exportItems();
    return;
  }
  const ids = new Set([idOfName(options.location), isId(options.location) ? options.location : undefined]);
  ids.delete(undefined);
  if (ids.size === 0) throw new CatalogueError(`Not a location: ${JSON.stringify(options.location)}`);
  for await (const item of api.exportItems()) if (ids.has(item.location)) yield item;
}

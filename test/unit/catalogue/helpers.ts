import { readCatalogue } from '../../../cli/catalogue/read.js';
import type { Layout } from '../../../cli/catalogue/layout.js';
import type { Outcome } from '../../../cli/catalogue/reasons.js';
import type { RowOptions } from '../../../cli/catalogue/rows.js';

/** Bytes as a stream, cut every `size` bytes. */
export async function* chunked(bytes: Buffer | string, size = 64 * 1024): AsyncGenerator<Buffer> {
  const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  for (let at = 0; at < buffer.length; at += size) yield buffer.subarray(at, at + size);
}

export async function readAll(
  bytes: Buffer | string,
  options: RowOptions & { chunk?: number } = {},
): Promise<{ layout: Layout; outcomes: Outcome[] }> {
  const { layout, rows } = await readCatalogue(chunked(bytes, options.chunk), options);
  const outcomes: Outcome[] = [];
  for await (const row of rows) outcomes.push(row);
  return { layout, outcomes };
}

/** An outcome in a few words: `5 @Main A-1 =7`, `3 sku_missing`, `4 not_stocked`. */
export function brief(outcome: Outcome): string {
  if (outcome.kind === 'accepted') {
    const kept = outcome.overwrite ? '' : ' reported';
    const was = outcome.expectedOnHand === undefined ? '' : ` was ${outcome.expectedOnHand}`;
    const available = outcome.counts === 'available' ? ' available' : '';
    return `${outcome.line} ${outcome.sku}@${outcome.location} =${outcome.count}${available}${kept}${was}`;
  }
  return `${outcome.line} ${outcome.kind === 'rejected' ? outcome.reason : outcome.why}`;
}

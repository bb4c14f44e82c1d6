/** The ledger's hash chain: one link for every batch of a partition that was persisted (table ledger_chain). S7, decision 18. */
import { createHash } from 'node:crypto';

/** What the first link of a partition follows. */
export const NO_LINK = Buffer.alloc(0);

/** What a link says of its batch: `rows` are the batch's rows of the ledger, as `movementRow` writes them. 32 bytes. */
export function digestOf(rows: string): Buffer {
  return createHash('sha256').update(rows, 'utf8').digest();
}

/** The hash of a link: it holds for every row before it as well. 32 bytes. */
export function linkHash(previous: Uint8Array, digest: Uint8Array): Buffer {
  return createHash('sha256').update(previous).update(digest).digest();
}

/** Links as an array of bytea. */
export function hashes(column: readonly Buffer[]): string {
  return `{${column.map((hash) => `"\\\\x${hash.toString('hex')}"`).join(',')}}`;
}

/** What a recovery takes a closed partition with (`recovery` in `meta`), so that of two only one can write and open. */
import { randomUUID } from 'node:crypto';

/**
 * A token that no other recovery has. It names the epoch it was made in: one that was left behind by a recovery that ended says nothing
 * any more once the partition was opened, also by somebody who does not know of tokens.
 * @param writes whether the partition is going to be written from Postgres
 */
export function tokenOf(epoch: number, writes: boolean): string {
  return `${writes ? 'writes' : 'opens'}-${epoch}-${randomUUID()}`;
}

/** Whether a recovery has begun to write the closed partition and has not come to an end: what lies there may be half of it. */
export function isHalfWritten({ epoch, recovery }: { readonly epoch: number; readonly recovery: string }): boolean {
  return recovery.startsWith(`writes-${epoch}-`);
}

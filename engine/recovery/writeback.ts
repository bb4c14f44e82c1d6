/** Turns persisted state into calls of partition/restore. */
import { claimCells, holdCells, idCells, itemFields } from '../partitions/records.js';
import { partitionRestore, type PartitionRestoreOp } from '../scripts/generated/partition-restore.js';
import { limits } from '../scripts/generated/limits.js';
import type { HoldRecord, PersistedState } from '../types.js';
import type { DirectCalls } from './direct.js';
import { Dues } from './dues.js';

const ITEM = 1;
const HOLD = 2;
const CLAIM = 3;
const ID_RECORD = 4;
const BUYER = 5;
const DUE = 6;
const RECORDS = 7;

/** Bytes of a record's first piece; a longer one goes on in the second. Records are ASCII: ids, refs and numbers. */
const PIECE = limits.detail_bytes;

/** Script calls of one partition under way at once. */
const CALLS_AT_ONCE = 8;

/**
 * Removes whatever the closed partition holds.
 * @param recovery the token it was taken with
 * @throws Error when it is open, or another recovery has taken it.
 */
export async function clear(calls: DirectCalls, partition: number, recovery: string): Promise<void> {
  await restore(calls, partition, recovery, [op(RECORDS, '', 0, false)]);
  for (const kind of ['stock', 'buyers'] as const)
    for await (const refs of calls.itemRefs(partition, kind))
      await restore(
        calls,
        partition,
        recovery,
        refs.map((ref) => op(ITEM, '', 0, false, ref)),
      );
}

/**
 * Writes everything back, while the next page is on its way.
 * @param recovery the token the partition was taken with
 * @throws Error when the partition is open, another recovery has taken it, or a record is refused.
 */
export async function writeBack(
  calls: DirectCalls,
  partition: number,
  recovery: string,
  pages: AsyncIterable<PersistedState>,
): Promise<void> {
  const dues = new Dues();
  let written = Promise.resolve();
  for await (const page of pages) {
    await written;
    const ops = [...restoreOps(page, dues)];
    // One by one: as arguments of one call they would be more than a call can have.
    if (dues.isFull) for (const due of dueOps(dues)) ops.push(due);
    written = restore(calls, partition, recovery, ops);
    // Told by the await above; meanwhile it must not count as unhandled.
    written.catch(() => undefined);
  }
  await written;
  await restore(calls, partition, recovery, dueOps(dues));
}

async function restore(
  calls: DirectCalls,
  partition: number,
  recovery: string,
  ops: readonly PartitionRestoreOp[],
): Promise<void> {
  for (let from = 0; from < ops.length; from += limits.max_ops * CALLS_AT_ONCE) {
    const pages: PartitionRestoreOp[][] = [];
    for (let n = 0, at = from; n < CALLS_AT_ONCE && at < ops.length; n++, at += limits.max_ops)
      pages.push(ops.slice(at, at + limits.max_ops));
    for (const reply of await calls.runAll(partitionRestore, partition, { recovery }, pages))
      if (reply.callStatus !== 0)
        throw new Error(`partition ${partition}: restoring was refused with status ${reply.callStatus}`);
  }
}

function* restoreOps(state: PersistedState, dues: Dues): Generator<PartitionRestoreOp> {
  for (const item of state.items ?? []) yield op(ITEM, '', 0, itemFields(item), `${item.location}:${item.sku}`);
  const now = Date.now();
  for (const hold of state.holds ?? []) {
    dues.add(hold.attempt > 0 && hold.state === 'held' ? now : dueOf(hold), hold.id);
    yield op(HOLD, hold.id, 0, holdCells(hold));
  }
  for (const claim of state.claims ?? []) {
    dues.add(claimDueOf(claim, now), `c:${claim.id}`);
    yield op(CLAIM, claim.id, 0, claimCells(claim));
  }
  for (const record of state.ids ?? []) {
    const due = record.level.updatedAt + limits.retention_seconds * 1000;
    yield op(ID_RECORD, `${record.id}:${record.ref}`, due, idCells(record));
  }
  for (const { ref, buyerId, units } of state.buyers ?? []) yield op(BUYER, buyerId, 0, units, ref);
  for (const id of state.gone?.holds ?? []) yield op(HOLD, id, 0, false);
  for (const id of state.gone?.claims ?? []) yield op(CLAIM, id, 0, false);
}

function dueOps(dues: Dues): PartitionRestoreOp[] {
  return dues.take().map(({ at, member }) => op(DUE, member, at, true));
}

function op(kind: number, id: string, due: number, value: unknown, item?: string): PartitionRestoreOp {
  const text = JSON.stringify(value);
  return {
    kind,
    id,
    due,
    head: text.slice(0, PIECE),
    tail: text.slice(PIECE),
    lines: item === undefined ? [] : [{ item }],
  };
}

/** A claim that was decided so lately may have parts that have not heard of it: the entry that would tell them is lost with the rest. */
const TELL_PARTS_MS = 3_600_000;

/**
 * One that is held, and so a part that is held, is looked at at once: what Postgres does not have may be that it was sold, and what lies
 * in other partitions knows. At its deadline that would be known too, but until then it would not be what its buyer was told.
 */
function claimDueOf(claim: HoldRecord, now: number): number {
  if (claim.state === 'held') return now;
  return claim.resolvedAt > now - TELL_PARTS_MS ? claim.resolvedAt : dueOf(claim);
}

/** When the sweep has to look: at the deadline, or when the record may be forgotten. Early is harmless: the record decides. */
function dueOf({ state, deadline, resolvedAt }: HoldRecord): number {
  if (state === 'held' || state === 'pending') return deadline;
  return resolvedAt + limits.retention_seconds * 1000;
}

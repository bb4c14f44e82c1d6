/** Turns persisted state into calls of partition/restore. */
import { claimCells, holdCells, idCells, itemFields } from '../partitions/records.js';
import { partitionRestore, type PartitionRestoreOp } from '../scripts/generated/partition-restore.js';
import { limits } from '../scripts/generated/limits.js';
import type { HoldRecord, PersistedState } from '../types.js';
import type { DirectCalls } from './direct.js';

const ITEM = 1;
const HOLD = 2;
const CLAIM = 3;
const ID_RECORD = 4;
const BUYER = 5;

/** Bytes of a record's first piece; a longer one goes on in the second. Records are ASCII: ids, refs and numbers. */
const PIECE = limits.detail_bytes;

/** Writes one page back. @throws Error when the partition is open or a record is refused. */
export async function writeBack(calls: DirectCalls, partition: number, state: PersistedState): Promise<void> {
  const ops = [...restoreOps(state)];
  for (let from = 0; from < ops.length; from += limits.max_ops) {
    const page = ops.slice(from, from + limits.max_ops);
    const reply = await calls.run(partitionRestore, partition, undefined, page);
    if (reply.callStatus !== 0)
      throw new Error(`partition ${partition}: restoring was refused with status ${reply.callStatus}`);
  }
}

function* restoreOps(state: PersistedState): Generator<PartitionRestoreOp> {
  for (const item of state.items ?? []) yield op(ITEM, '', 0, itemFields(item), `${item.location}:${item.sku}`);
  for (const hold of state.holds ?? []) yield op(HOLD, hold.id, dueOf(hold), holdCells(hold));
  for (const claim of state.claims ?? []) yield op(CLAIM, claim.id, dueOf(claim), claimCells(claim));
  for (const record of state.ids ?? []) {
    const due = record.level.updatedAt + limits.retention_seconds * 1000;
    yield op(ID_RECORD, `${record.id}:${record.ref}`, due, idCells(record));
  }
  for (const { ref, buyerId, units } of state.buyers ?? []) yield op(BUYER, buyerId, 0, units, ref);
  for (const id of state.gone?.holds ?? []) yield op(HOLD, id, 0, false);
  for (const id of state.gone?.claims ?? []) yield op(CLAIM, id, 0, false);
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

/** When the sweep has to look: at the deadline, or when the record may be forgotten. Early is harmless: the record decides. */
function dueOf({ state, deadline, resolvedAt }: HoldRecord): number {
  if (state === 'held' || state === 'pending') return deadline;
  return resolvedAt + limits.retention_seconds * 1000;
}

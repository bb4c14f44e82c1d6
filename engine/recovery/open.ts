/** Opens one closed partition: compare with what is persisted, take it, write back, raise the epoch, open. */
import { partitionFence } from '../scripts/generated/partition-fence.js';
import { partitionOpen } from '../scripts/generated/partition-open.js';
import { partitionTake } from '../scripts/generated/partition-take.js';
import type { PersistedSource } from '../types.js';
import type { DirectCalls } from './direct.js';
import { epochAfter } from './epoch.js';
import type { NodeLife } from './inspect.js';
import { isHalfWritten, tokenOf } from './token.js';
import { clear, writeBack } from './writeback.js';

export type OpenOutcome =
  | 'open'
  /** Somebody else is at it, or it changed meanwhile: look again. */
  | 'busy'
  /** Postgres has to be asked, and there is none here. */
  | 'not_ours';

export const POSTGRES = 'postgres';

export async function openPartition(
  calls: DirectCalls,
  partition: number,
  life: NodeLife,
  source: PersistedSource | undefined,
): Promise<OpenOutcome> {
  if (!source) return openAsItIs(calls, partition, life);
  const outcome = await source.exclusively(partition, () => openWith(source, calls, partition, life));
  return outcome === false ? 'busy' : outcome;
}

async function look(calls: DirectCalls, partition: number, life: NodeLife) {
  const { callStatus, epoch, seq, rows } = await calls.run(partitionFence, partition, life);
  const row = rows[0];
  if (callStatus !== 0 || row?.status !== 'ok') throw new Error('the node is not the one that was looked at');
  return { epoch, seq, open: row.open === 1, persistence: row.persistence, recovery: row.recovery };
}

/** Without a source Redis is believed. */
async function openAsItIs(calls: DirectCalls, partition: number, life: NodeLife): Promise<OpenOutcome> {
  const found = await look(calls, partition, life);
  if (found.open) return 'open';
  // Also one that was open before the first worker came, which only drains it: what Postgres has must not be sold again.
  if (found.persistence === POSTGRES || isHalfWritten(found) || (await calls.isPersisted(partition))) return 'not_ours';
  return open(calls, partition, life, found, {
    recovery: found.recovery,
    epoch: epochAfter(found.epoch),
    seq: found.seq,
    persistence: '',
    persisted: '',
  });
}

async function openWith(
  source: PersistedSource,
  calls: DirectCalls,
  partition: number,
  life: NodeLife,
): Promise<OpenOutcome> {
  // Only now, with nobody beside us: what was seen before may be out of date.
  const found = await look(calls, partition, life);
  if (found.open) return 'open';
  const persisted = await source.position(partition);
  // Without `meta` nobody knows of what moment the rest is; and a recovery that ended may have left half of what it wrote.
  const isBelieved = found.epoch > 0 && !isHalfWritten(found);
  const sourceIsAhead = persisted.epoch > found.epoch || (persisted.epoch === found.epoch && persisted.seq > found.seq);
  const fromSource = sourceIsAhead || !isBelieved;
  const recovery = tokenOf(found.epoch, fromSource);
  if (!(await take(calls, partition, life, found, recovery))) return 'busy';
  if (fromSource) {
    // Within an epoch the history is one; across epochs it is not known where it parted, so everything is written back.
    const from = isBelieved && persisted.epoch === found.epoch ? found.seq : 0;
    // What Redis has beyond that point never happened: left there, its holds would expire and bring back units once more.
    // An item that Postgres does not know was never made, and its units are nobody's.
    if (from === 0) await clear(calls, partition, recovery);
    if (persisted.epoch > 0) await writeBack(calls, partition, recovery, source.changedSince(partition, from));
  }
  const seq = fromSource ? persisted.seq : found.seq;
  const epoch = epochAfter(Math.max(found.epoch, persisted.epoch, persisted.announced ?? 0));
  await source.raiseEpoch(partition, epoch, seq, fromSource ? persisted.epoch : found.epoch);
  const upto = persisted.epoch > 0 ? `${persisted.epoch}-${persisted.seq}` : '';
  return open(calls, partition, life, found, { recovery, epoch, seq, persistence: POSTGRES, persisted: upto });
}

/**
 * The lock is in Postgres, and what is under way to Redis goes on without it: from here on only we write and open, whoever had the lock
 * before. False: it is not any more as we saw it.
 */
async function take(
  calls: DirectCalls,
  partition: number,
  { node }: NodeLife,
  found: { readonly epoch: number; readonly seq: number; readonly recovery: string },
  recovery: string,
): Promise<boolean> {
  const from = { fromEpoch: found.epoch, fromSeq: found.seq, fromRecovery: found.recovery };
  const { callStatus } = await calls.run(partitionTake, partition, { node, ...from, recovery });
  return callStatus === 0;
}

async function open(
  calls: DirectCalls,
  partition: number,
  life: NodeLife,
  found: { readonly epoch: number; readonly seq: number },
  to: {
    /** The token it was taken with, or was found with. */
    readonly recovery: string;
    readonly epoch: number;
    readonly seq: number;
    readonly persistence: string;
    readonly persisted: string;
  },
): Promise<OpenOutcome> {
  const { callStatus, epoch, rows } = await calls.run(partitionOpen, partition, {
    ...life,
    fromEpoch: found.epoch,
    fromSeq: found.seq,
    ...to,
  });
  if (callStatus !== 0) return 'busy';
  if (rows[0]?.status === 'exists' && to.persistence === POSTGRES && epoch < to.epoch) {
    // A recovery that had lost its lock, or has no Postgres, came first, under an epoch older than the one announced since: what is
    // written there is taken for that of a node that was cut off. Closed, and with the next look opened anew behind it; nothing of
    // it is lost. Where nothing is announced, whoever came first is as good as we are.
    await calls.fence(partition);
    return 'busy';
  }
  return rows[0]?.status === 'ok' || rows[0]?.status === 'exists' ? 'open' : 'busy';
}

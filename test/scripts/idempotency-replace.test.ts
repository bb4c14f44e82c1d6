import { idempotencyReplace } from '../../engine/scripts/generated/idempotency-replace.js';
import type { ScriptPartition } from '../support/scripts.js';
import { partitionTable } from './partition-rows.js';

const MINE = 'a'.repeat(18);
const OTHER = 'b'.repeat(18);
const KEEP_MS = 60_000;
const meta = () => ({});
const holding = (record: string) => async (partition: ScriptPartition) =>
  void (await partition.node.client.set(partition.key('idem'), record));
const args =
  (keep: number, record: string, token = MINE) =>
  () => ({ token, keep, record });
const record = async (partition: ScriptPartition) => partition.node.client.get(partition.key('idem'));

partitionTable(idempotencyReplace, [
  {
    status: 'ok',
    name: 'the answer in the place of what its own holder began with',
    meta,
    prepare: holding(`${MINE}begun`),
    args: args(KEEP_MS, `${MINE}answered\u0000`),
    answer: { status: 'ok' },
    after: async (t, partition) => {
      t.equal(await record(partition), `${MINE}answered\u0000`);
      const left = await partition.node.client.pttl(partition.key('idem'));
      t.ok(left > 0 && left <= KEEP_MS, 'it is kept for as long as was asked');
    },
  },
  {
    status: 'ok',
    name: 'another holder in the place of the one before',
    meta,
    prepare: holding(`${MINE}begun`),
    args: args(KEEP_MS, `${OTHER}begun`),
    answer: { status: 'ok' },
    after: async (t, partition) => t.equal(await record(partition), `${OTHER}begun`),
  },
  {
    status: 'ok',
    name: 'its own record is removed',
    meta,
    prepare: holding(`${MINE}begun`),
    args: args(0, ''),
    answer: { status: 'ok' },
    after: async (t, partition) => t.equal(await record(partition), null),
  },
  {
    status: 'superseded',
    name: 'the answer of another is not written over',
    meta,
    prepare: holding(`${OTHER}answered`),
    args: args(KEEP_MS, `${MINE}answered`),
    answer: { status: 'superseded' },
  },
  {
    status: 'superseded',
    name: 'the record of another is not removed',
    meta,
    prepare: holding(`${OTHER}begun`),
    args: args(0, ''),
    answer: { status: 'superseded' },
  },
  {
    status: 'superseded',
    name: 'what is gone is not made again',
    meta,
    args: args(KEEP_MS, `${MINE}answered`),
    answer: { status: 'superseded' },
  },
  { status: 'invalid_argument', name: 'no token', meta, prepare: holding('x'), args: args(KEEP_MS, 'y', '') },
  { status: 'invalid_argument', name: 'a time that is none', meta, prepare: holding('x'), args: args(-1, 'y') },
  {
    status: 'invalid_argument',
    name: 'a record beyond all measure',
    meta,
    prepare: holding(`${MINE}begun`),
    args: args(KEEP_MS, 'x'.repeat(16 * 1024 * 1024 + 1)),
  },
]);

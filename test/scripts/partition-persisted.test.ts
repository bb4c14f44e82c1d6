import { partitionPersisted } from '../../engine/scripts/generated/partition-persisted.js';
import type { ScriptPartition } from '../support/scripts.js';
import { logged, metaOf, partitionTable } from './partition-rows.js';

const open = (node: string) => ({ owner: node, epoch: 3, seq: 9, persisted: '3-4' });
const upto = (uptoEpoch: number, uptoSeq: number) => () => ({ uptoEpoch, uptoSeq });
const prepare = logged('2-3', '3-5', '3-7', '3-9');

async function entries(partition: ScriptPartition): Promise<string[]> {
  return (await partition.node.client.xrange(partition.key('log'), '-', '+')).map(([id]) => id);
}

partitionTable(partitionPersisted, [
  {
    status: 'ok',
    name: 'trims the log up to the position and no further',
    meta: open,
    prepare,
    args: upto(3, 7),
    answer: { status: 'ok', trimmed: 3 },
    after: async (t, partition) => {
      t.same(await entries(partition), ['3-9']);
      t.equal((await metaOf(partition)).persisted, '3-7');
    },
  },
  {
    status: 'ok',
    name: 'an entry that is persisted in part stays whole',
    meta: open,
    prepare,
    args: upto(3, 6),
    answer: { status: 'ok', trimmed: 2 },
    after: async (t, partition) => t.same(await entries(partition), ['3-7', '3-9']),
  },
  {
    status: 'ok',
    name: 'the first position of all',
    meta: (node) => ({ owner: node, epoch: 3, seq: 9 }),
    prepare,
    args: upto(3, 9),
    answer: { status: 'ok', trimmed: 4 },
    after: async (t, partition) => t.same(await entries(partition), []),
  },
  {
    status: 'exists',
    name: 'the same position again',
    meta: open,
    prepare,
    args: upto(3, 4),
    answer: { status: 'exists' },
  },
  { status: 'exists', name: 'an older one', meta: open, prepare, args: upto(2, 9), answer: { status: 'exists' } },
  { status: 'fenced', name: 'closed', meta: (node) => ({ ...open(node), owner: '' }), prepare, args: upto(3, 7) },
  {
    status: 'fenced',
    name: 'opened on another node',
    meta: (node) => ({ ...open(node), owner: 'a'.repeat(40) }),
    prepare,
    args: upto(3, 7),
  },
  { status: 'invalid_argument', name: 'ahead of the log', meta: open, prepare, args: upto(3, 10) },
  { status: 'invalid_argument', name: 'of an epoch to come', meta: open, prepare, args: upto(4, 1) },
  { status: 'invalid_argument', name: 'not a number', meta: open, prepare, args: upto(3, NaN) },
]);

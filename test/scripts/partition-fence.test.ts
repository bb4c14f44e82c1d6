import { partitionFence } from '../../engine/scripts/generated/partition-fence.js';
import { metaOf, partitionTable } from './partition-rows.js';

const args = (node: string) => ({ node, run: 'life-2' });

partitionTable(partitionFence, [
  {
    status: 'ok',
    name: 'one that was opened in this life is left alone',
    meta: (node) => ({ owner: node, run: 'life-2', epoch: 3, seq: 9, persistence: 'postgres' }),
    args,
    answer: { status: 'ok', open: 1, persistence: 'postgres', recovery: '' },
  },
  {
    status: 'ok',
    name: 'one that was opened in an earlier life is closed',
    meta: (node) => ({ owner: node, run: 'life-1', epoch: 3, seq: 9 }),
    args,
    answer: { status: 'ok', open: 0, persistence: '', recovery: '' },
    after: async (t, partition, reply) => {
      t.same([reply.epoch, reply.seq], [3, 9], 'where it stands');
      t.same(await metaOf(partition), { owner: '', run: 'life-1', epoch: '3', seq: '9' });
    },
  },
  {
    status: 'ok',
    name: 'one of another node (a promoted replica carries its master) is closed',
    meta: () => ({ owner: 'a'.repeat(40), run: 'life-2', epoch: 3, seq: 9 }),
    args,
    answer: { status: 'ok', open: 0, persistence: '', recovery: '' },
    after: async (t, partition) => t.equal((await metaOf(partition)).owner, ''),
  },
  {
    status: 'ok',
    name: 'one that is closed stays as it is; who has taken it is told',
    meta: () => ({ owner: '', run: 'life-2', epoch: 3, seq: 9, recovery: 'theirs' }),
    args,
    answer: { status: 'ok', open: 0, persistence: '', recovery: 'theirs' },
  },
  {
    status: 'ok',
    name: 'one that never was: nothing is made',
    meta: () => ({}),
    args,
    answer: { status: 'ok', open: 0, persistence: '', recovery: '' },
  },
  {
    status: 'epoch_conflict',
    name: 'recovery means another node',
    meta: (node) => ({ owner: node, run: 'life-1', epoch: 3, seq: 9 }),
    args: () => ({ node: 'b'.repeat(40), run: 'life-2' }),
  },
  {
    status: 'invalid_argument',
    name: 'what cannot be a node',
    meta: (node) => ({ owner: node, run: 'life-1', epoch: 3, seq: 9 }),
    args: () => ({ node: '', run: 'life-2' }),
  },
]);

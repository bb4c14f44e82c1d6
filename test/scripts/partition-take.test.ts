import { partitionTake, type PartitionTakeArgs } from '../../engine/scripts/generated/partition-take.js';
import { metaOf, partitionTable } from './partition-rows.js';

const closed = () => ({ owner: '', run: 'life-1', epoch: 3, seq: 9 });
const args =
  (other: Partial<PartitionTakeArgs> = {}) =>
  (node: string): PartitionTakeArgs => ({
    node,
    fromEpoch: 3,
    fromSeq: 9,
    fromRecovery: '',
    recovery: 'mine',
    ...other,
  });

partitionTable(partitionTake, [
  {
    status: 'ok',
    name: 'a closed partition that nobody has taken',
    meta: closed,
    args: args(),
    answer: { status: 'ok' },
    after: async (t, partition, reply) => {
      t.same([reply.epoch, reply.seq], [3, 9], 'where it stands');
      t.same(await metaOf(partition), { owner: '', run: 'life-1', epoch: '3', seq: '9', recovery: 'mine' });
    },
  },
  {
    status: 'ok',
    name: 'from a recovery that was seen to have it',
    meta: () => ({ ...closed(), recovery: 'theirs' }),
    args: args({ fromRecovery: 'theirs' }),
    answer: { status: 'ok' },
    after: async (t, partition) => t.equal((await metaOf(partition)).recovery, 'mine'),
  },
  {
    status: 'ok',
    name: 'one that never was',
    meta: () => ({}),
    args: args({ fromEpoch: 0, fromSeq: 0 }),
    answer: { status: 'ok' },
    after: async (t, partition) => t.same(await metaOf(partition), { recovery: 'mine' }),
  },
  {
    status: 'epoch_conflict',
    name: 'it is open',
    meta: (node) => ({ ...closed(), owner: node }),
    args: args(),
  },
  {
    status: 'epoch_conflict',
    name: 'another recovery has taken it since',
    meta: () => ({ ...closed(), recovery: 'theirs' }),
    args: args(),
  },
  ...(
    [
      ['it has moved since recovery looked', { fromSeq: 8 }],
      ['its epoch has changed since', { fromEpoch: 2 }],
      ['who had it has opened it', { fromRecovery: 'theirs' }],
      ['recovery means another node', { node: 'b'.repeat(40) }],
    ] as const
  ).map(([name, other]) => ({ status: 'epoch_conflict' as const, name, meta: closed, args: args(other) })),
  { status: 'invalid_argument', name: 'no token', meta: closed, args: args({ recovery: '' }) },
  { status: 'invalid_argument', name: 'what cannot be a token', meta: closed, args: args({ fromRecovery: 'a b' }) },
]);

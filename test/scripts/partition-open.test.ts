import { limits } from '../../engine/scripts/generated/limits.js';
import { partitionOpen, type PartitionOpenArgs } from '../../engine/scripts/generated/partition-open.js';
import { logged, metaOf, partitionTable } from './partition-rows.js';

const closed = () => ({ owner: '', run: 'life-1', epoch: 3, seq: 9 });
const args =
  (other: Partial<PartitionOpenArgs> = {}) =>
  (node: string): PartitionOpenArgs => ({
    node,
    run: 'life-2',
    recovery: '',
    fromEpoch: 3,
    fromSeq: 9,
    epoch: 4,
    seq: 12,
    persistence: '',
    persisted: '',
    ...other,
  });

partitionTable(partitionOpen, [
  {
    status: 'ok',
    name: 'numbers go on after what was written back; the log says so',
    meta: closed,
    args: args({ persistence: 'postgres', persisted: '3-12' }),
    answer: { status: 'ok' },
    after: async (t, partition, reply) => {
      t.same([reply.epoch, reply.seq], [4, 13]);
      const { node } = partition;
      const expected = {
        owner: node.id,
        run: 'life-2',
        epoch: '4',
        seq: '13',
        persistence: 'postgres',
        persisted: '3-12',
        openings: '4:12',
      };
      t.same(await metaOf(partition), expected);
      const [entry, ...more] = await partition.log();
      t.match(entry, { id: '4-13', epoch: 4, events: [{ kind: 'epoch_opened', seq: 13 }] });
      t.same(more, []);
    },
  },
  {
    status: 'ok',
    name: 'the first opening of all leaves what it is not told',
    meta: () => ({}),
    args: args({ fromEpoch: 0, fromSeq: 0, epoch: 1, seq: 0 }),
    answer: { status: 'ok' },
    after: async (t, partition) =>
      t.same(await metaOf(partition), {
        owner: partition.node.id,
        run: 'life-2',
        epoch: '1',
        seq: '1',
        openings: '1:0',
      }),
  },
  {
    status: 'ok',
    name: 'earlier beginnings are remembered, but for those at or beyond the new one',
    meta: () => ({ ...closed(), openings: '1:0 2:7 3:12 4:13' }),
    args: args({ epoch: 5 }),
    answer: { status: 'ok' },
    after: async (t, partition) => t.equal((await metaOf(partition)).openings, '1:0 2:7 5:12'),
  },
  {
    status: 'ok',
    name: 'and no more of them than there is room for',
    meta: () => ({ ...closed(), openings: Array.from({ length: limits.openings }, (_, n) => `${n}:${n}`).join(' ') }),
    args: args({ epoch: 70, seq: 80 }),
    answer: { status: 'ok' },
    after: async (t, partition) => {
      const openings = (await metaOf(partition)).openings!.split(' ');
      t.equal(openings.length, limits.openings);
      t.same([openings[0], openings.at(-1)], ['1:1', '70:80']);
    },
  },
  {
    status: 'ok',
    name: 'epochs and numbers up to the limit are kept digit by digit',
    meta: () => ({ ...closed(), openings: '9007199254740988:8 9007199254740989:9' }),
    args: args({ epoch: 9007199254740991, seq: 9007199254740989, persisted: '9007199254740989-9007199254740989' }),
    answer: { status: 'ok' },
    after: async (t, partition, reply) => {
      t.same([reply.epoch, reply.seq], [9007199254740991, 9007199254740990]);
      t.match(await metaOf(partition), {
        epoch: '9007199254740991',
        seq: '9007199254740990',
        persisted: '9007199254740989-9007199254740989',
        openings: '9007199254740988:8 9007199254740989:9 9007199254740991:9007199254740989',
      });
      const [entry] = await partition.log();
      t.match(entry, { id: '9007199254740991-9007199254740990', epoch: 9007199254740991 });
    },
  },
  {
    status: 'ok',
    name: 'what this recovery has taken; the token goes',
    meta: () => ({ ...closed(), recovery: 'mine' }),
    args: args({ recovery: 'mine' }),
    answer: { status: 'ok' },
    after: async (t, partition) => t.notOk('recovery' in (await metaOf(partition))),
  },
  ...(
    [
      ['another recovery has taken it since', 'theirs', 'mine'],
      ['another has, and this one has taken nothing', 'theirs', ''],
      ['it was taken, and has been opened since', '', 'mine'],
    ] as const
  ).map(([name, there, recovery]) => ({
    status: 'epoch_conflict' as const,
    name,
    meta: () => ({ ...closed(), ...(there ? { recovery: there } : {}) }),
    args: args({ recovery }),
  })),
  {
    status: 'exists',
    name: 'another recovery was faster',
    meta: (node) => ({ owner: node, run: 'life-2', epoch: 4, seq: 13 }),
    args: args(),
    answer: { status: 'exists' },
  },
  ...(
    [
      ['it has moved since recovery looked', { fromSeq: 8 }],
      ['its epoch has changed since', { fromEpoch: 2 }],
      ['the epoch does not grow', { epoch: 3 }],
      ['recovery means another node', { node: 'b'.repeat(40) }],
    ] as const
  ).map(([name, other]) => ({ status: 'epoch_conflict' as const, name, meta: closed, args: args(other) })),
  {
    status: 'epoch_conflict',
    name: 'the log is at a higher epoch than meta',
    meta: closed,
    prepare: logged('4-2'),
    args: args(),
  },
  {
    status: 'invalid_argument',
    name: 'a position that cannot be',
    meta: closed,
    args: args({ persisted: '3:12' }),
  },
]);

import { partitionRestore, type PartitionRestoreOp } from '../../engine/scripts/generated/partition-restore.js';
import { pack, type ScriptPartition } from '../support/scripts.js';
import { partitionTable } from './partition-rows.js';

const A = 'main:a';
const closed = () => ({ owner: '', epoch: 3, seq: 9, recovery: 'mine' });
const [ITEM, HOLD, CLAIM, ID, BUYER, DUE, RECORDS] = [1, 2, 3, 4, 5, 6, 7];
const HOLD_RECORD = [1, 5_000, 77, 0, 'ada', 0, A, 2, 0, 1];
const CLAIM_RECORD = [1, 5_000, 77, 8, 'ada', 0, 4_000, A, 2];

function op(kind: number, id: string, value: unknown, { due = 0, item = '' } = {}): PartitionRestoreOp {
  const text = JSON.stringify(value);
  const half = Math.floor(text.length / 2);
  return { kind, id, due, head: text.slice(0, half), tail: text.slice(half), lines: item ? [{ item }] : [] };
}

const good = [
  op(ITEM, '', { a: 5, r: 2, s: 1, v: 9, u: 123, w: 3 }, { item: A }),
  op(HOLD, 'r1', HOLD_RECORD, { due: 5_000 }),
  op(CLAIM, 'r2', CLAIM_RECORD, { due: 6_000 }),
  op(ID, 'm1:main:a', [2, 7, 1, 2, 3, 4, 5], { due: 7_000 }),
  op(BUYER, 'ada', 2, { item: A }),
  op(DUE, 'r3 r4', true, { due: 8_000 }),
];
const ok = { status: 'ok' } as const;
const args = () => ({ recovery: 'mine' });

/** What is there before: an item with a setting that is no more, a hold, a claim, a buyer. */
async function older(partition: ScriptPartition): Promise<void> {
  const { client } = partition.node;
  await client.hset(partition.itemKey('stock', A), { a: 9, r: 0, s: 0, v: 1, u: 1, l: 4 });
  await client.hset(partition.itemKey('buyers', A), { ada: 7, bo: 1 });
  await client.hset(partition.key('holds'), 'r1', pack([4, 1, 1, 0, '', 1]), 'gone', pack(HOLD_RECORD));
  await client.hset(partition.key('claims'), 'gone', pack(CLAIM_RECORD));
}

partitionTable(partitionRestore, [
  {
    status: 'ok',
    name: 'each kind, on an empty partition',
    meta: closed,
    args,
    ops: good,
    answer: good.map(() => ok),
    after: async (t, partition, reply) => {
      t.same([reply.epoch, reply.seq], [3, 9], 'no event: the log knows already');
      const { meta: _, ...world } = await partition.world();
      t.same(world, {
        stock: { [A]: { a: 5, r: 2, s: 1, v: 9, u: 123, w: 3 } },
        buyers: { [A]: { ada: 2 } },
        holds: { r1: HOLD_RECORD },
        claims: { r2: CLAIM_RECORD },
        ids: { 'm1:main:a': [2, 7, 1, 2, 3, 4, 5] },
        due: { r1: 5_000, 'c:r2': 6_000, 'i:m1:main:a': 7_000, 'r3 r4': 8_000 },
      });
    },
  },
  {
    status: 'ok',
    name: 'each record replaces what is there; false and 0 remove',
    meta: closed,
    prepare: older,
    args,
    ops: [
      good[0]!,
      good[1]!,
      op(HOLD, 'gone', false),
      op(CLAIM, 'gone', false),
      op(CLAIM, 'never', false),
      op(BUYER, 'ada', 0, { item: A }),
    ],
    answer: Array.from({ length: 6 }, () => ok),
    after: async (t, partition) => {
      const { stock, buyers, holds, claims } = await partition.world();
      t.same(stock, { [A]: { a: 5, r: 2, s: 1, v: 9, u: 123, w: 3 } }, 'a setting that is no more goes');
      t.same(buyers, { [A]: { bo: 1 } });
      t.same([holds, claims], [{ r1: HOLD_RECORD }, {}]);
    },
  },
  {
    status: 'ok',
    name: 'everything is removed, but what comes after it',
    meta: closed,
    prepare: async (partition) => {
      await older(partition);
      await partition.node.client.hset(partition.key('ids'), 'm0:main:a', pack([2, 7, 1, 2, 3, 4, 5]));
      await partition.node.client.zadd(partition.key('due'), 5, 'gone');
    },
    args,
    ops: [
      good[1]!,
      op(BUYER, 'cy', 3, { item: A }),
      op(RECORDS, '', false),
      op(ITEM, '', false, { item: A }),
      good[2]!,
    ],
    answer: Array.from({ length: 5 }, () => ok),
    after: async (t, partition) => {
      const { meta: _, ...world } = await partition.world();
      t.same(world, {
        stock: {},
        buyers: {},
        holds: {},
        claims: { r2: CLAIM_RECORD },
        ids: {},
        due: { 'c:r2': 6_000 },
      });
    },
  },
  ...(
    [
      ['the partition is open', (node: string) => ({ ...closed(), owner: node })],
      ['another recovery has taken it', () => ({ ...closed(), recovery: 'theirs' })],
      ['nobody has taken it', () => ({ owner: '', epoch: 3, seq: 9 })],
    ] as const
  ).flatMap(([name, meta]) =>
    [good, [op(RECORDS, '', false), op(ITEM, '', false, { item: A })]].map((ops, n) => ({
      status: 'epoch_conflict' as const,
      name: `${name}: nothing is ${n === 0 ? 'written' : 'removed'}`,
      meta,
      prepare: older,
      args,
      ops,
    })),
  ),
  {
    status: 'invalid_argument',
    name: 'no token',
    meta: () => ({ owner: '', epoch: 3, seq: 9, recovery: '' }),
    prepare: older,
    args: () => ({ recovery: '' }),
    ops: good,
  },
  ...(
    [
      ['no JSON', { ...op(HOLD, 'r9', HOLD_RECORD), tail: '' }],
      ['a kind there is not', op(8, 'r9', HOLD_RECORD)],
      ['records that are to be written together', op(RECORDS, '', true)],
      ['a due entry that is a record', op(DUE, 'r9', HOLD_RECORD, { due: 5 })],
      ['a due entry without a time', op(DUE, 'r9', true)],
      ['an item that is not named', op(ITEM, '', { a: 1 })],
      ['a hold that names an item', op(HOLD, 'r9', HOLD_RECORD, { item: A })],
      ['an item that is a number', op(ITEM, '', 5, { item: A })],
      ['an item without fields', op(ITEM, '', {}, { item: A })],
      ['an item that is true', op(ITEM, '', true, { item: A })],
      ['a hold that is a number', op(HOLD, 'r9', 5)],
      ['units that are a text', op(BUYER, 'bo', '5', { item: A })],
      ['units that are null', op(BUYER, 'bo', null, { item: A })],
    ] as const
  ).map(([name, bad]) => ({
    status: 'invalid_argument' as const,
    name: `${name}, behind good ones`,
    meta: closed,
    prepare: older,
    args,
    ops: [...good, bad],
  })),
]);

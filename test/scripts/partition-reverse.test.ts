import { traceOf } from '../../engine/recovery/effects.js';
import type { EventName } from '../../engine/scripts/generated/events.js';
import { partitionReverse, type PartitionReverseOp } from '../../engine/scripts/generated/partition-reverse.js';
import { pack, type ScriptPartition } from '../support/scripts.js';
import { metaOf, partitionTable } from './partition-rows.js';

const A = 'main:a';
const open = (node: string) => ({ owner: node, run: 'life-1', epoch: 4, seq: 9 });
const args = () => undefined;

function op(other: Partial<PartitionReverseOp> = {}): PartitionReverseOp {
  return {
    id: 'r1',
    ref: A,
    quantity: 2,
    lostEpoch: 3,
    lostSeq: 12,
    look: 0,
    states: 0,
    actor: 'ada',
    detail: '{"kind":"held"}',
    ...other,
  };
}

/** Everything that a call may have been answered about, in the state it was answered. */
async function present(partition: ScriptPartition): Promise<void> {
  const { client } = partition.node;
  const hold = (state: number) => pack([state, 5_000, 77, 0, 'ada', 0, A, 2, 0, 0]);
  const claim = (state: number) => pack([state, 5_000, 77, 8, 'ada', 0, 4_000, A, 2]);
  await client.hset(partition.key('holds'), 'h', hold(1), 'c', hold(2), 'r', hold(3));
  await client.hset(partition.key('claims'), 'h', claim(1), 'c', claim(2), 'p', claim(6));
  await client.hset(partition.key('ids'), `d:${A}`, pack([4, 7, 1, 2, 3, 4, 5]));
}

const looked = (kind: EventName, id: string) => op({ id, ...traceOf(kind) });
const there = [
  looked('held', 'h'),
  looked('held', 'r'),
  looked('extended', 'h'),
  looked('confirmed', 'c'),
  looked('released', 'r'),
  looked('deducted', 'd'),
  looked('claim_sealed', 'h'),
  looked('claim_confirmed', 'c'),
];
const missing = [
  looked('held', 'x'),
  looked('confirmed', 'h'),
  looked('released', 'h'),
  looked('returned', 'h'),
  looked('restocked', 'x'),
  looked('claim_sealed', 'p'),
  looked('claim_confirmed', 'h'),
];

partitionTable(partitionReverse, [
  {
    status: 'ok',
    name: 'an event that changes nothing, in the order told, with a number of its own each',
    meta: open,
    prepare: present,
    args,
    ops: [op(), op({ id: 'h', quantity: 0 }), op({ id: 'm', quantity: -3 })],
    answer: [{ status: 'ok' }, { status: 'ok' }, { status: 'ok' }],
    after: async (t, partition, reply) => {
      t.same([reply.epoch, reply.seq], [4, 12]);
      t.equal((await metaOf(partition)).seq, '12');
      const [entry, ...more] = await partition.log();
      t.same(more, []);
      t.equal(entry!.id, '4-12');
      t.same(
        entry!.events.map(({ kind, ref, id, quantity, actor, detail, version }) => [
          kind,
          ref,
          id,
          quantity,
          actor,
          detail,
          version,
        ]),
        [
          ['reversed', '', 'r1', 2, 'ada', '{"kind":"held"}', 0],
          ['reversed', '', 'h', 0, 'ada', '{"kind":"held"}', 0],
          ['reversed', '', 'm', -3, 'ada', '{"kind":"held"}', 0],
        ],
      );
    },
  },
  {
    status: 'exists',
    name: 'what was answered before and is there is not reversed',
    meta: open,
    prepare: present,
    args,
    ops: there,
    answer: there.map(() => ({ status: 'exists' as const })),
  },
  {
    status: 'ok',
    name: 'what was answered before and is not there is',
    meta: open,
    prepare: present,
    args,
    ops: missing,
    answer: missing.map(() => ({ status: 'ok' as const })),
    after: async (t, partition) => t.equal((await partition.log())[0]!.events.length, missing.length),
  },
  {
    status: 'fenced',
    name: 'a closed partition',
    meta: () => ({ owner: '', epoch: 4, seq: 9 }),
    args,
    ops: [op()],
  },
  {
    status: 'invalid_argument',
    name: 'what was answered under the present epoch, or cannot be looked for',
    meta: open,
    args,
    ops: [op({ lostEpoch: 4 }), op({ look: 4 })],
    answer: [{ status: 'invalid_argument' }, { status: 'invalid_argument' }],
  },
]);

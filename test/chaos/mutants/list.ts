/** Deliberate bugs, and the fault under which each has to show. Those without a fault show in the plain workload. */
import { MORE_MUTANTS } from './more.js';
import type { Edit } from './patch.js';

export interface Mutant {
  readonly name: string;
  readonly describe: string;
  readonly edits: readonly Edit[];
  /** By name. */
  readonly faults: readonly string[];
  /** Points of the checker that are meant to see it: another one does not count as a catch. */
  readonly points: readonly number[];
  /** How long its faults go on, where they have to be repeated until the right moment was hit. */
  readonly durationMs?: number;
  /** Replicas a master, where one is not enough to see it. */
  readonly replicas?: number;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'no-wait',
    describe: '`replicated` is answered whatever WAIT says',
    edits: [{ in: 'engine/batch/outcomes', from: 'const all = hasAll(wait, reply);', to: 'const all = true;' }],
    faults: ['undrained-takeover'],
    points: [3],
  },
  {
    name: 'wait-for-one',
    describe: '`replicated` is answered as soon as one of two replicas has it',
    edits: [
      { in: 'engine/redis/acks', from: "typeof reply === 'number' && reply >= asked.replicas", to: 'reply >= 1' },
      { in: 'engine/redis/acks', from: 'replicas === 0 ? 0 : Math.max(1, onlineReplicas)', to: '1' },
    ],
    faults: ['undrained-takeover'],
    replicas: 2,
    points: [3],
  },
  {
    name: 'durable-at-once',
    describe: '`durable` is answered without waiting for Postgres',
    edits: [
      {
        in: 'engine/batch/outcomes',
        from: 'if (pending.ack !== DURABLE)',
        to: "if (pending.ack === DURABLE) return batch.resolve(pending, { ...reached, ack: 'durable' });\n        if (pending.ack !== DURABLE)",
      },
    ],
    faults: ['undrained-takeover'],
    points: [3],
  },
  {
    name: 'stream-says-durable',
    describe: 'the stream says `durable` of a reservation whatever was reached',
    edits: [
      {
        in: 'server/ws/operations',
        from: 'writer.number(now);\n    writer.number(ACKS.indexOf(outcome.ack));',
        to: 'writer.number(now);\n    writer.number(2);',
      },
    ],
    faults: ['undrained-takeover'],
    points: [3],
  },
  {
    name: 'no-id-record',
    describe: 'a sale in one step is not remembered by its order id',
    edits: [{ in: 'lua/stock/deduct', from: 'store_ids(ids_key)', to: '' }],
    faults: [],
    points: [5],
  },
  {
    name: 'other-content',
    describe: 'another content under the id of a reservation passes for the same',
    edits: [{ in: 'lua/stock/reserve', from: 'record[R_FINGERPRINT] ~= hash_number(op.fingerprint) or ', to: '' }],
    faults: [],
    points: [3, 5],
  },
  {
    name: 'no-fence',
    describe: 'a promoted replica goes on without recovery, under the same epoch',
    edits: [
      { in: 'lua/*', from: "if fields[1] ~= redis.call('CLUSTER', 'MYID') then", to: 'if false then' },
      {
        in: 'engine/recovery/recovery',
        from: 'const looked = seen.scripts ? seen.closed : all;',
        to: 'const looked = seen.closed;',
      },
      {
        in: 'engine/recovery/inspect',
        from: 'const isOpen = textOf(meta[0]) === life.node && textOf(meta[1]) === life.run;',
        to: "const isOpen = textOf(meta[0]) !== '';",
      },
    ],
    faults: ['lag-takeover'],
    points: [6, 7],
  },
  {
    name: 'no-replay',
    describe: 'recovery does not write back what Postgres has and Redis has lost',
    edits: [
      {
        in: 'engine/recovery/open',
        from: 'await writeBack(calls, partition, recovery, source.changedSince(partition, from));',
        to: ';',
      },
    ],
    faults: ['lag-takeover'],
    points: [1, 2, 3, 7],
  },
  {
    name: 'early-trim',
    describe: 'the log is trimmed before Postgres has it',
    edits: [
      {
        in: 'workers/drain/lane',
        from: 'const positions = await persistAll(client, runs);',
        to: 'for (const { partition, events } of runs) {\n            const { epoch, seq } = events.at(-1);\n            await this.partitions.markPersisted(partition, { epoch, seq });\n        }\n        const positions = await persistAll(client, runs);',
      },
    ],
    faults: ['stop-postgres'],
    points: [6],
  },
  {
    name: 'position-apart',
    describe: 'the position is committed before the rows it covers',
    edits: [
      {
        in: 'workers/drain/persist',
        from: "const answers = [client.query('BEGIN')];",
        to: "stream.uncork();\n    for (const one of ['BEGIN', statements[0], 'COMMIT'])\n        await client.query(one);\n    await new Promise((resolve) => setTimeout(resolve, 20));\n    statements = statements.slice(1);\n    stream.cork();\n    const answers = [client.query('BEGIN')];",
      },
    ],
    faults: ['kill-workers'],
    points: [3, 6, 7],
  },
  {
    name: 'epoch-not-asserted',
    describe: 'events of a master that was cut off are accepted by Postgres',
    edits: [
      { in: 'workers/drain/openings', from: 'seq <= (known.get(epoch) ?? (epoch < before ? rest : -1))', to: 'true' },
      { in: 'sql/*', from: 'AND o.epoch = n.fence AND', to: 'AND' },
    ],
    faults: ['late-writer'],
    durationMs: 40_000,
    points: [6, 7],
  },
  {
    name: 'expiry-early',
    describe: 'holds expire before their deadline',
    edits: [
      { in: 'lua/stock/expire', from: 'now < deadline', to: 'now < deadline - 600' },
      { in: 'lua/stock/due', from: "'-inf', now,", to: "'-inf', now + 600," },
      { in: 'engine/reservations/sweep', from: 'hold.deadline > now', to: 'hold.deadline > now + 600' },
    ],
    faults: [],
    points: [9],
  },
  {
    name: 'confirm-late',
    describe: 'a hold can be confirmed after its deadline',
    edits: [
      { in: 'lua/stock/confirm', from: 'now >= deadline', to: 'now > deadline + 2000' },
      {
        in: 'lua/claims/confirm',
        from: 'state, deadline = claim_state(record, now)',
        to: 'state, deadline = claim_state(record, now - 2000)',
      },
    ],
    faults: [],
    points: [9],
  },
  {
    name: 'never-expires',
    describe: 'the sweep finds nothing due',
    edits: [{ in: 'lua/stock/due', from: "'-inf', now,", to: "'-inf', now - 1000000," }],
    faults: [],
    points: [9],
  },
  {
    name: 'limit-kept',
    describe: 'a release leaves the units counted towards the limit of the buyer',
    edits: [{ in: 'lua/stock/release', from: 'add_units(index, record[R_BUYER], -quantity)', to: '' }],
    faults: [],
    points: [7],
  },
  {
    name: 'lost-line',
    describe: 'of a reservation over several partitions only the first part is told that it is sold',
    edits: [
      {
        in: 'engine/reservations/follow',
        from: 'place.parts.map((part) => tellPart(',
        to: 'place.parts.slice(0, 1).map((part) => tellPart(',
      },
    ],
    faults: [],
    points: [4],
  },
  {
    name: 'one-too-many',
    describe: 'one unit more is sold than there is',
    edits: [{ in: 'lua/stock/reserve', from: 'quantity > item.available', to: 'quantity > item.available + 1' }],
    faults: [],
    points: [1],
    // The last unit comes up now and then.
    durationMs: 40_000,
  },
  {
    name: 'sold-out-too-soon',
    describe: 'the last unit is refused',
    edits: [{ in: 'lua/stock/reserve', from: 'quantity > item.available', to: 'quantity >= item.available' }],
    faults: [],
    points: [8],
    // The last unit comes up now and then.
    durationMs: 40_000,
  },
  {
    name: 'retry-new-id',
    describe: 'a call that was lost with its connection is sent again under another id',
    edits: [
      {
        in: 'engine/batch/outcomes',
        from: 'again.push(pending);',
        to: 'again.push(Object.assign(pending, { op: { ...pending.op, id: `${pending.op.id}x` } }));',
      },
    ],
    faults: ['lost-replies', 'reset-clients'],
    points: [2, 3, 5],
  },
  {
    name: 'unknown-is-refused',
    describe: 'a call of which nothing is known is answered as if it had not been made',
    edits: [
      {
        in: 'engine/batch/outcomes',
        from: 'export function unknownOutcome(partition, { id }) {',
        to: 'export function unknownOutcome(partition, { id }) {\n    return notTaken(partition, { id });',
      },
    ],
    faults: ['lost-replies', 'freeze-master'],
    points: [4],
  },
  ...MORE_MUTANTS,
];

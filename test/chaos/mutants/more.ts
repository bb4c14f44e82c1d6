/** Deliberate bugs in what is recorded of losses, in deadlines, limits and lines; those of the way of an answer are in `list.ts`. */
import type { Mutant } from './list.js';

export const MORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'no-reversal',
    describe: 'nobody records what was answered and is gone',
    edits: [{ in: 'engine/recovery/reversals', from: 'if (lost.length > 0)', to: 'if (false)' }],
    faults: ['undrained-takeover'],
    points: [3],
  },
  {
    name: 'false-reversal',
    describe: 'after a takeover all answers are recorded as gone that Postgres did not have before',
    edits: [
      {
        in: 'engine/recovery/answered',
        from: 'const isLost = cut !== undefined && entry.seq > cut.seq;',
        to: 'const isLost = cut !== undefined;',
      },
    ],
    faults: ['undrained-takeover'],
    points: [3],
  },
  {
    name: 'sweep-late',
    describe: 'the sweep comes once a minute',
    edits: [
      {
        in: 'workers/expiry/expiry',
        from: 'await partitions.sweep(partition)',
        to: '(Date.now() % 60_000 < 2_000 ? await partitions.sweep(partition) : 0)',
      },
    ],
    faults: [],
    points: [9],
    // Between two of its visits.
    durationMs: 40_000,
  },
  {
    name: 'restart-unfenced',
    describe: 'a master that is back in place without its last events goes on without recovery, under the same epoch',
    edits: [
      { in: 'lua/partition/fence', from: 'fields[1] == node and fields[2] == run', to: 'fields[1] == node' },
      {
        in: 'engine/recovery/inspect',
        from: 'textOf(meta[0]) === life.node && textOf(meta[1]) === life.run;',
        to: 'textOf(meta[0]) === life.node;',
      },
    ],
    faults: ['cut-aof'],
    points: [6, 7],
  },
  {
    name: 'confirm-refused-early',
    describe: 'a hold cannot be confirmed any more in the last part of its time',
    edits: [{ in: 'lua/stock/confirm', from: 'now >= deadline', to: 'now >= deadline - 700' }],
    faults: [],
    points: [9],
  },
  {
    name: 'limit-ignored',
    describe: 'the limit of a buyer is neither looked at nor counted',
    edits: [
      { in: 'lua/stock/reserve', from: 'buyer_limit = tonumber(fields[5] or 0)', to: 'buyer_limit = 0' },
      { in: 'lua/stock/deduct', from: 'buyer_limit = tonumber(fields[5] or 0)', to: 'buyer_limit = 0' },
    ],
    faults: [],
    points: [1],
  },
  {
    name: 'neighbours-quantity',
    describe: 'every line is held with the quantity of the first one beside it',
    edits: [{ in: 'lua/stock/reserve', from: 'op.lines[line + 1]', to: 'op.lines[2]' }],
    faults: [],
    points: [3, 4, 5],
  },
  {
    name: 'unasked-confirm',
    describe: 'what has expired is sold',
    edits: [
      { in: 'lua/stock/expire', from: 'move_hold(9, op, record, 0)', to: 'move_hold(7, op, record, 1)' },
      {
        in: 'lua/stock/expire',
        from: 'resolve_hold(op.id, record, EXPIRED, now)',
        to: 'resolve_hold(op.id, record, CONFIRMED, now)',
      },
    ],
    faults: [],
    points: [5],
  },
];

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
];

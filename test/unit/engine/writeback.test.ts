import t from 'tap';
import type { DirectCalls } from '../../../engine/recovery/direct.js';
import { writeBack } from '../../../engine/recovery/writeback.js';
import type { HoldRecord, PersistedState } from '../../../engine/types.js';

/** More than one call of JavaScript takes as arguments, and more than are gathered at once. */
const HOLDS = 300_000;
const PAGE = 10_000;

const hold = (n: number): HoldRecord => ({
  id: `r${n}`,
  state: 'confirmed',
  deadline: 0,
  fingerprint: 1,
  attempt: 0,
  buyerId: 'b',
  // Each at a time of its own: none shares its entry.
  resolvedAt: 1_000_000 + n,
  lines: [],
});

async function* pages(): AsyncGenerator<PersistedState> {
  for (let from = 0; from < HOLDS; from += PAGE)
    yield await Promise.resolve({ holds: Array.from({ length: PAGE }, (_, n) => hold(from + n)) });
}

t.test('a large partition is written back whole, every record with what is due', async (t) => {
  const heads = new Map<number, Set<string>>();
  const runAll = (_script: unknown, _partition: number, _args: unknown, calls: { kind: number; id: string }[][]) => {
    for (const { kind, id } of calls.flat()) {
      const seen = heads.get(kind) ?? new Set<string>();
      heads.set(kind, seen.add(id));
    }
    return Promise.resolve(calls.map(() => ({ callStatus: 0 })));
  };
  await writeBack({ runAll } as unknown as DirectCalls, 0, 'token', pages());
  t.same(
    [...heads.values()].map(({ size }) => size),
    [HOLDS, HOLDS],
    'as many records as entries of what is due',
  );
});

t.test(
  'claims decided lately tell their parts once more, and what is held over several partitions is looked at',
  async (t) => {
    const now = Date.now();
    const claims = [
      { ...hold(0), id: 'late', resolvedAt: now - 1_000, attempt: 1 },
      { ...hold(0), id: 'old', resolvedAt: now - 80_000_000, attempt: 1 },
      { ...hold(0), id: 'held', state: 'held', deadline: now + 1_000_000, resolvedAt: 0, attempt: 1 },
    ] satisfies HoldRecord[];
    const holds = [
      { ...hold(0), id: 'part', state: 'held', deadline: now + 1_000_000, resolvedAt: 0, attempt: 1 },
      { ...hold(0), id: 'alone', state: 'held', deadline: now + 1_000_000, resolvedAt: 0 },
    ] satisfies HoldRecord[];
    const dues = new Map<string, number>();
    const runAll = (_script: unknown, _partition: number, _args: unknown, calls: { id: string; due: number }[][]) => {
      for (const { id, due } of calls.flat()) if (due > 0) dues.set(id, due);
      return Promise.resolve(calls.map(() => ({ callStatus: 0 })));
    };
    async function* page(): AsyncGenerator<PersistedState> {
      yield await Promise.resolve({ claims, holds });
    }
    await writeBack({ runAll } as unknown as DirectCalls, 0, 'token', page());
    t.equal(dues.get('c:late'), now - 1_000, 'due at once');
    t.ok(dues.get('c:old')! > now, 'not due yet');
    t.ok(dues.get('alone')! > now + 900_000, 'at its deadline');
    // What is due at the same time shares an entry.
    for (const id of ['c:held', 'part'])
      t.ok(
        [...dues].some(([names, at]) => names.split(' ').includes(id) && at <= Date.now()),
        `${id}: others may know more of it than Postgres`,
      );
  },
);

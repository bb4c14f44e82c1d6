/** Which batches go into a persist transaction, and how large it may be. */
import t from 'tap';
import type { LogEvent } from '../../engine/types.js';
import { TRANSACTION_EVENTS, Turns, type Waiting } from '../../workers/drain/turns.js';

/** A partition that has `events` in its log and is read up to what a partition may have. */
function reads(turns: Turns, partition: number, events: number): Waiting {
  const asked = turns.share;
  return { partition, asked, events: new Array<LogEvent>(Math.min(events, asked)) };
}

const sizeOf = (chosen: readonly Waiting[]) => chosen.reduce((sum, { events }) => sum + events.length, 0);

function commit(turns: Turns, chosen: readonly Waiting[], ms = 20): void {
  turns.sending(sizeOf(chosen));
  turns.committed(ms);
  turns.done();
}

function fail(turns: Turns, chosen: readonly Waiting[]): number {
  turns.sending(sizeOf(chosen));
  return turns.failed();
}

t.test('what is sold in a moment goes in one transaction', async (t) => {
  const turns = new Turns();
  t.equal(turns.limit, TRANSACTION_EVENTS);
  const ready = Array.from({ length: 64 }, (_, partition) => reads(turns, partition, 30));
  const chosen = turns.choose(ready);
  t.equal(chosen.length, 64);
  t.notOk(turns.more);
  commit(turns, chosen);
  t.equal(turns.limit, TRANSACTION_EVENTS);
});

t.test('a backlog is split, and partitions take turns', async (t) => {
  const turns = new Turns();
  const logs = new Map(Array.from({ length: 64 }, (_, partition) => [partition, partition === 5 ? 10 : 20_000]));
  const waited = new Map<number, number>();
  let left = [...logs.values()].reduce((sum, events) => sum + events, 0);
  while (left > 0) {
    const ready = [...logs]
      .filter(([, events]) => events > 0)
      .map(([partition, events]) => reads(turns, partition, events));
    const chosen = turns.choose(ready);
    const size = sizeOf(chosen);
    if (size === 0 || size > TRANSACTION_EVENTS) return t.fail(`${size} events`);
    for (const { partition } of ready) waited.set(partition, (waited.get(partition) ?? 0) + 1);
    for (const { partition, events } of chosen) {
      if (waited.get(partition)! > 64) return t.fail(`partition ${partition} waited`);
      waited.set(partition, 0);
      logs.set(partition, logs.get(partition)! - events.length);
      left -= events.length;
    }
    if (left > 0 && !turns.more) return t.fail('nothing was left over');
    commit(turns, chosen);
  }
});

t.test('after a failure less than half is sent, down to one batch, and every commit lets it grow', async (t) => {
  const turns = new Turns();
  const backlog = () => Array.from({ length: 64 }, (_, partition) => reads(turns, partition, 1_000_000));
  let before = Infinity;
  while (turns.limit > 1) {
    const sent = fail(turns, turns.choose(backlog()));
    t.ok(sent > 0 && sent <= before / 2, `${sent} events`);
    before = sent;
  }
  const one = turns.choose(backlog());
  t.equal(one.length, 1);
  t.equal(fail(turns, one), 1);
  t.equal(turns.limit, 1);
  for (let n = 0, last = 1; n < 200 && turns.limit < TRANSACTION_EVENTS; n++, last = turns.limit) {
    commit(turns, turns.choose(backlog()));
    t.ok(
      turns.limit > last && turns.limit <= Math.max(last + 1, Math.ceil(last * 1.125) + 1),
      `${last}, ${turns.limit}`,
    );
  }
  t.equal(turns.limit, TRANSACTION_EVENTS);
});

t.test('one partition with a backlog: its batches get smaller and larger too', async (t) => {
  const turns = new Turns();
  t.equal(fail(turns, turns.choose([reads(turns, 3, 80_000)])), 5_000);
  const smaller = turns.choose([reads(turns, 3, 80_000)]);
  t.ok(sizeOf(smaller) <= 2_500);
  for (let n = 0; n < 200; n++) commit(turns, turns.choose([reads(turns, 3, 80_000)]));
  t.equal(sizeOf(turns.choose([reads(turns, 3, 80_000)])), 5_000);
});

t.test('only what was under way and is too slow counts', async (t) => {
  const turns = new Turns(1_000);
  t.equal(turns.failed(), 0, 'nothing was sent: Postgres is away');
  t.equal(turns.limit, 1_000);
  const backlog = () => Array.from({ length: 8 }, (_, partition) => reads(turns, partition, 1_000));
  commit(turns, turns.choose(backlog()), 10_000);
  t.equal(turns.limit, 500, 'committed, but slow');
  // Persisted before something else failed.
  const chosen = turns.choose(backlog());
  turns.sending(sizeOf(chosen));
  turns.committed(20);
  t.equal(turns.failed(), 0);
  t.equal(turns.limit, 500);
  // All was persisted: nothing says that more fits.
  commit(turns, turns.choose([reads(turns, 1, 10)]));
  t.equal(turns.limit, 500);
});

t.test('a partition that makes every transaction fail keeps no other from its turn', async (t) => {
  const turns = new Turns();
  const logs = new Map(Array.from({ length: 64 }, (_, partition) => [partition, 3]));
  for (let n = 0; n < 1_000 && logs.size > 1; n++) {
    const chosen = turns.choose([...logs].map(([partition, events]) => reads(turns, partition, events)));
    if (chosen.some(({ partition }) => partition === 3)) fail(turns, chosen);
    else {
      commit(turns, chosen);
      for (const { partition, events } of chosen) {
        const rest = logs.get(partition)! - events.length;
        if (rest > 0) logs.set(partition, rest);
        else logs.delete(partition);
      }
    }
  }
  t.same([...logs.keys()], [3]);
});

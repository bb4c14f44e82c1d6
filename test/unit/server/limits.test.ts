/** What closes admission and what opens it again, by numbers that the test sets. */
import t from 'tap';
import { pino } from 'pino';
import type { NodeMemory, PartitionStatus } from '../../../engine/types.js';
import { Gate, type Load } from '../../../server/limits/gate.js';
import { LoopDelay } from '../../../server/limits/loop.js';
import { levelOf, marksFrom, marksInPercent } from '../../../server/limits/marks.js';
import { Pressure } from '../../../server/limits/pressure.js';

const LOADS: readonly Load[] = ['hold', 'write', 'finish', 'read'];

/** Which loads are let through for a key that is its partition's number. */
function passing(gate: Gate, key: string): Load[] {
  return LOADS.filter((load) => {
    try {
      gate.admit(load, [key]);
      return true;
    } catch (error) {
      t.match(error, { kind: { code: 'overloaded', http: 503 }, extra: { retryAfter: Number } });
      return false;
    }
  });
}

t.test('marks: holds first, writes later; what is closed opens a good deal lower', async (t) => {
  const marks = marksFrom(100);
  const walk = (values: readonly number[]) => {
    let level = levelOf(0, 0, marks);
    return values.map((value) => (level = levelOf(value, level, marks)));
  };
  t.same(walk([99, 100, 149, 150, 149, 131, 129, 99, 81, 79]), [0, 1, 1, 2, 2, 2, 1, 1, 1, 0]);
  t.same(walk([1_000, 0]), [2, 0]);
  const percent = marksInPercent(85);
  t.equal(levelOf(92.5, 0, percent), 2);
  t.equal(levelOf(92.4, 0, percent), 1);
  t.equal(levelOf(80.1, 1, percent), 1);
  t.equal(levelOf(79.9, 1, percent), 0);
});

t.test('a gate closes in order, by partition, and counts what it refuses', async (t) => {
  const gate = new Gate(4, Number);
  t.same(passing(gate, '1'), LOADS);
  gate.set('log', 1, 1);
  t.same(passing(gate, '1'), ['write', 'finish', 'read']);
  t.same(passing(gate, '2'), LOADS, 'the others stay open');
  gate.set('memory', 1, 2);
  t.same(passing(gate, '1'), ['finish', 'read'], 'the strictest limit counts');
  t.equal(gate.shut('hold'), undefined, 'not everything is closed');
  t.same(gate.refused, { log: 2, memory: 1, persist_age: 0, event_loop: 0 });
  gate.setAll('event_loop', 1);
  t.equal(gate.shut('hold'), 'event_loop');
  t.equal(gate.shut('write'), undefined);
  t.equal(gate.shut('finish'), undefined);
  t.equal(gate.closed('log', 1), 1);
  gate.setAll('event_loop', 0);
  gate.set('memory', 1, 0);
  gate.set('log', 1, 0);
  for (const partition of '0123') t.same(passing(gate, partition), LOADS);
});

t.test('the depth of a log, the memory of a node, the wait for Postgres', async (t) => {
  const gate = new Gate(4, Number);
  let statuses: PartitionStatus[] = [];
  let nodes: NodeMemory[] = [];
  const said: { limit: string; partitions: number[]; msg: string }[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => said.push(JSON.parse(line) as (typeof said)[0]) });
  const source = { status: async () => statuses, memory: async () => nodes };
  const limits = { logEvents: 100, memoryPercent: 80, persistSeconds: 1, loopDelayMs: 0 };
  const pressure = new Pressure({ partitions: source, gate, limits, persisted: true, log });
  t.teardown(() => pressure.close());
  const at = (partition: number, seq: number, persisted: number, logLength = 0): PartitionStatus => ({
    ...{ partition, node: 'n', epoch: 1, open: true, nextDue: undefined },
    ...{ seq, persisted: { epoch: 1, seq: persisted }, logLength },
  });
  statuses = [at(0, 50, 0), at(1, 100, 0), at(2, 1_000, 990, 160), at(3, NaN, 0)];
  await pressure.look();
  t.same(
    [0, 1, 2, 3].map((partition) => gate.level('log', partition)),
    [0, 1, 2, 0],
  );
  t.same(
    said.map(({ limit, partitions }) => [limit, partitions]),
    [
      ['log', [1]],
      ['log', [2]],
    ],
  );
  await pressure.look();
  t.equal(said.length, 2, 'a state that lasts is said once');
  statuses = [at(1, 130, 110), at(2, 1_000, 1_000)];
  await pressure.look();
  t.same(
    [1, 2].map((partition) => gate.level('log', partition)),
    [0, 0],
  );
  t.match(said.at(-1), { msg: 'admission is open again' });

  nodes = [
    { node: 'a', partitions: [0, 1], used: 81, limit: 100 },
    { node: 'b', partitions: [2], used: 95, limit: 100 },
    { node: 'c', partitions: [3], used: 1e12, limit: 0 },
  ];
  await pressure.look();
  t.same(
    [0, 1, 2, 3].map((partition) => gate.level('memory', partition)),
    [1, 1, 2, 0],
  );
  nodes = [];
  await pressure.look();
  t.equal(gate.level('memory', 0), 1, 'what cannot be reached stays as it was');
  nodes = [{ node: 'a', partitions: [0, 1, 2], used: 10, limit: 100 }];
  await pressure.look();
  t.same(
    [0, 1, 2].map((partition) => gate.level('memory', partition)),
    [0, 0, 0],
  );

  statuses = [at(0, 20, 10), at(1, 20, 20)];
  await pressure.look();
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  statuses = [at(0, 30, 10), at(1, 30, 20)];
  await pressure.look();
  t.equal(gate.level('persist_age', 0), 1, 'event 20 has waited for more than a second');
  t.equal(gate.level('persist_age', 1), 0, 'event 30 has just come');
  statuses = [at(0, 30, 25)];
  await pressure.look();
  t.equal(gate.level('persist_age', 0), 0, 'what was waited for is there');
});

t.test('without somebody who persists, a log that grows is bounded by memory alone', async (t) => {
  const gate = new Gate(1, Number);
  const status = { partition: 0, node: 'n', epoch: 1, open: true, nextDue: undefined, seq: 1_000 };
  const source = {
    status: async () => [{ ...status, persisted: { epoch: 0, seq: 0 }, logLength: 1_000 }],
    memory: async () => [{ node: 'n', partitions: [0], used: 99, limit: 100 }],
  };
  const limits = { logEvents: 10, memoryPercent: 90, persistSeconds: 1, loopDelayMs: 0 };
  const pressure = new Pressure({ partitions: source, gate, limits, persisted: false, log: pino({ level: 'silent' }) });
  t.teardown(() => pressure.close());
  await pressure.look();
  t.equal(gate.level('log', 0), 0);
  t.equal(gate.level('memory', 0), 2);
});

t.test('an event loop that runs late', async (t) => {
  const gate = new Gate(2, Number);
  const changes: string[] = [];
  const loop = new LoopDelay(gate, marksFrom(200), (from, to) => changes.push(`${from}${to}`));
  loop.close();
  let now = performance.now();
  const after = (ms: number) => loop.tick((now += ms));
  after(20);
  t.equal(gate.shut('hold'), undefined);
  after(219);
  t.equal(gate.shut('hold'), undefined);
  after(221);
  t.equal(gate.shut('hold'), 'event_loop');
  t.equal(gate.shut('write'), undefined);
  for (let n = 0; n < 4; n++) after(20);
  t.equal(gate.shut('hold'), 'event_loop', 'not yet calm for long enough');
  after(20);
  t.equal(gate.shut('hold'), undefined);
  // Stopped and continued: requests come before the timer.
  loop.arrival((now += 400));
  t.equal(gate.shut('write'), 'event_loop');
  t.same(changes, ['01', '10', '02']);
});

/** What the checker makes of histories that are short enough to be written down. */
import t from 'tap';
import type { Checking, FaultSpan } from './checker/context.js';
import { checkAcks } from './checker/acks.js';
import { checkCounts } from './checker/counts.js';
import { effectsOf } from './checker/effects.js';
import { KIND, SWEEP_ACTOR } from './checker/kinds.js';
import { lossesOf, tailsOf } from './checker/losses.js';
import { replay } from './checker/model.js';
import type { Violation } from './checker/violation.js';
import { checkOrder } from './checker/order.js';
import { checkWholes } from './checker/wholes.js';
import { partitionOf } from './final/redis.js';
import type { Movement, Reversal } from './final/types.js';
import type { Call, Request } from './history.js';

const PARTITIONS = 4;
const ID = 'r1';
const REFS = ['north:a', 'south:b', 'west:c', 'east:d', 'north:e', 'south:f'] as const;
const HOME = partitionOf(ID, PARTITIONS);
/** Two items in two partitions. */
const [ONE, TWO] = [REFS[0], REFS.find((ref) => partitionOf(ref, PARTITIONS) !== partitionOf(REFS[0], PARTITIONS))!];
/** A partition that has neither the reservation nor an item of it. */
const ELSEWHERE = [0, 1, 2, 3].find((one) => ![ID, ONE, TWO].some((text) => partitionOf(text, PARTITIONS) === one))!;
const DEADLINE = 60_000;

/** A ledger, written event by event: one unit a line. */
class Ledger {
  readonly movements: Movement[] = [];
  private readonly levels = new Map<string, { available: number; reserved: number; sold: number; version: number }>();

  add(kind: number, ref: string, by: readonly [number, number, number], actor: string, detail = '', at = 1_000): this {
    const before = this.levels.get(ref) ?? { available: 0, reserved: 0, sold: 0, version: 0 };
    const [a, r, s] = by;
    const { available, reserved, sold, version } = before;
    const level = { available: available + a, reserved: reserved + r, sold: sold + s, version: version + 1 };
    if (ref !== '') this.levels.set(ref, level);
    const partition = ref === '' ? HOME : partitionOf(ref, PARTITIONS);
    const seq = this.movements.length + 1;
    const about = kind === KIND.restocked ? { id: `stock-${ref}`, quantity: 10 } : { id: ID, quantity: 1 };
    this.movements.push({
      ...(ref === '' ? { available: 0, reserved: 0, sold: 0, version: 0 } : level),
      ...about,
      ...{ partition, epoch: 1, seq, at, kind, ref, actor, detail, deadline: DEADLINE, attempt: 1 },
    });
    return this;
  }

  both(kind: number, by: readonly [number, number, number], actor = 'chaos', detail = ''): this {
    return this.add(kind, ONE, by, actor, detail).add(kind, TWO, by, actor, detail);
  }

  /** Recovery opened the partition. */
  opened(partition: number, at: number): this {
    this.claim(KIND.epochOpened, 'recovery', '', at);
    this.movements.push({ ...this.movements.pop()!, partition, id: '', quantity: 0 });
    return this;
  }

  claim(kind: number, actor = 'chaos', detail = '', at?: number): this {
    return this.add(kind, '', [0, 0, 0], actor, detail, at);
  }
}

/** A reservation over two partitions, held. */
const held = (): Ledger =>
  new Ledger()
    .both(KIND.restocked, [10, 0, 0])
    .claim(KIND.claimOpened, 'ada', JSON.stringify([ONE, 1, TWO, 1]))
    .both(KIND.held, [-1, 1, 0], 'chaos', ' for:ada')
    .claim(KIND.claimSealed);

const sold = (): Ledger => held().claim(KIND.claimConfirmed).both(KIND.confirmed, [0, -1, 1]);

let calls = 0;
const call = (request: Request, more: Partial<Call> = {}): Call => ({
  ...{ n: calls++, client: 'c0', via: 'server-1', over: 'http', request, wanted: 'replicated' },
  ...{ began: 1_000, beganWall: 900, ended: 1_100, endedWall: 1_000 },
  answer: { outcome: 'ok', status: 200, ack: 'replicated', body: { reservationId: ID, status: 'confirmed' } },
  ...more,
});

const RETURN = { op: 'return', id: ID } as const;
const REFUSED = { outcome: 'failed', status: 409, code: 'reservation_held' } as const;

function checking(ledger: Ledger, calls: readonly Call[], more: { faults?: FaultSpan[]; reversals?: Reversal[] } = {}) {
  const violations: Violation[] = [];
  // Who stocked up is not told here.
  const report = (violation: Violation): void => void (violation.ids?.[0] === ID && violations.push(violation));
  const model = replay(ledger.movements, report);
  const final = { redis: { now: 0 }, postgres: { reversals: more.reversals ?? [] } } as unknown as Checking['final'];
  const effects = effectsOf(model, calls, PARTITIONS);
  const input = { calls, final, partitions: PARTITIONS, faults: more.faults ?? [], serverEnds: [], soldOutMs: 0 };
  const [losses, tails] = [lossesOf(input, model), tailsOf(input, model)];
  return { violations, checking: { ...input, model, effects, report, losses, tails } satisfies Checking };
}

function wholes(ledger: Ledger, calls: readonly Call[] = []): string[] {
  const { checking: all, violations } = checking(ledger, calls);
  checkWholes(all);
  return violations.map(({ point, what }) => `${point}: ${what}`);
}

const back = (ledger: Ledger): Ledger => ledger.both(KIND.returned, [1, 0, -1], SWEEP_ACTOR);

t.test('what the sweep brings back of a sale is seen, unless somebody asked for it or nothing was sold', async (t) => {
  t.strictSame(wholes(sold()), []);
  for (const undone of [back(sold()), back(sold()).claim(KIND.claimReturned, SWEEP_ACTOR)]) {
    t.match(wholes(undone), [/^4: reservation r1 is sold and nobody returned it/, /^4: .* were brought back$/]);
    t.equal(wholes(undone, [call(RETURN, { answer: REFUSED })]).length, 2, 'refused: that changed nothing');
  }
  const returned = back(sold().claim(KIND.claimReturned));
  t.strictSame(wholes(returned, [call(RETURN)]), []);
  t.strictSame(wholes(returned, [call(RETURN, { answer: undefined })]), [], 'unknown');
  // The home lost that it was sold, and said so to nobody: it expired, and what its parts had sold came back.
  const expired = held()
    .both(KIND.confirmed, [0, -1, 1])
    .add(KIND.claimExpired, '', [0, 0, 0], SWEEP_ACTOR, '', 70_000);
  t.equal(wholes(expired).length, 2, 'it may not stay so');
  t.strictSame(wholes(back(expired)), []);
});

const clockJump = (from: number, to: number): FaultSpan => ({
  ...{ name: 'clock-jump', loses: 'one-node', clocks: true },
  ...{ from, to, fromWall: from, toWall: to },
});

t.test(
  'what was refused is not there, unless it was held, lost a part, and was given back before it was answered',
  async (t) => {
    const lines = [ONE, TWO].map((ref) => ({ ref, quantity: 1 }));
    const asked = call({ op: 'reserve', id: ID, buyer: 'ada', lines, holdSeconds: 59 }, { answer: REFUSED });
    const seen = (ledger: Ledger): number[] => {
      const one = checking(ledger, [asked]);
      checkAcks(one.checking);
      return one.violations.map(({ point }) => point);
    };
    const lost = () => held().opened(partitionOf(TWO, PARTITIONS), 1_050);
    t.strictSame(seen(lost().claim(KIND.claimReleased)), []);
    t.strictSame(seen(lost()), [4], 'it is held');
    t.strictSame(seen(held().claim(KIND.claimReleased)), [4], 'nothing was lost');
    t.strictSame(seen(held().opened(ELSEWHERE, 1_050).claim(KIND.claimReleased)), [4], 'nothing of it was lost');

    const took = { answer: { outcome: 'ok', status: 200, body: { reservationId: ID } } } as const;
    const extended = call(
      { op: 'extend', id: ID, holdSeconds: 90 },
      { answer: REFUSED, beganWall: 1_100, endedWall: 1_300 },
    );
    const released = call({ op: 'release', id: ID }, { ...took, beganWall: 2_000, endedWall: 2_100 });
    const after = (ledger: Ledger, ...others: Call[]): number[] => {
      const one = checking(ledger, [{ ...asked, answer: undefined }, ...others, released]);
      checkAcks(one.checking);
      return one.violations.map(({ point }) => point);
    };
    const given = (ledger: Ledger) => ledger.claim(KIND.claimReleased, 'chaos', '', 1_200);
    t.strictSame(after(given(lost()), extended), [], 'an extension found that it was lost');
    t.strictSame(after(given(lost())), [4], 'nobody did');
    t.strictSame(after(given(held()), extended), [4], 'nothing was lost');
  },
);

t.test('a clock that jumped hides what has nothing to do with it from nobody', async (t) => {
  const late = held()
    .add(KIND.claimConfirmed, '', [0, 0, 0], 'chaos', '', DEADLINE + 5)
    .add(KIND.confirmed, ONE, [0, -1, 1], 'chaos', '', DEADLINE + 30)
    .add(KIND.confirmed, TWO, [0, -1, 1], 'chaos', '', DEADLINE + 30);
  const reserve = call({ op: 'reserve', id: ID, buyer: 'ada', lines: [], holdSeconds: 59 });
  const said = (faults: FaultSpan[]): number[] => {
    const one = checking(late, [reserve], { faults });
    checkWholes(one.checking);
    return one.violations.map(({ point }) => point);
  };
  t.strictSame(said([]), [9]);
  t.strictSame(said([clockJump(100, 800)]), [9], 'it was right again before');
  t.strictSame(said([clockJump(DEADLINE + 500, DEADLINE + 900)]), [9], 'it jumped afterwards');
  t.strictSame(said([clockJump(DEADLINE - 500, DEADLINE + 900)]), []);

  const refused = call({ op: 'confirm', id: ID }, { answer: REFUSED });
  for (const faults of [[], [clockJump(0, 100_000)]]) {
    const one = checking(sold(), [refused], { faults });
    checkAcks(one.checking);
    t.match(one.violations, [{ point: 4 }], 'what was refused was done all the same');
  }
});

t.test('a replicated answer that is gone counts as such, whether a record tells or not', async (t) => {
  const confirm = call({ op: 'confirm', id: ID });
  const fault = { name: 'kill-shard', clocks: false, from: 1_050, to: 2_000, fromWall: 950, toWall: 2_000 };
  const record = { partition: HOME, id: ID, ref: '', kind: KIND.claimConfirmed, lostEpoch: 1, lostSeq: 9 };
  for (const reversals of [[], [record]]) {
    const lost = () => held().opened(HOME, 1_500);
    const one = checking(lost(), [confirm], { faults: [{ ...fault, loses: 'cluster' }], reversals });
    t.match(checkAcks(one.checking), { excused: 1, reversed: 0 });
    t.strictSame(one.violations, []);
    const elsewhere = held().opened(ELSEWHERE, 1_500);
    for (const ledger of [held(), elsewhere, held().opened(HOME, 900), held().opened(HOME, 20_000)]) {
      const shard = checking(ledger, [confirm], { faults: [{ ...fault, loses: 'cluster' }], reversals });
      checkAcks(shard.checking);
      t.match(shard.violations, [{ point: 3 }], 'its partitions were not those that were lost');
    }
    const other = checking(lost(), [confirm], { faults: [{ ...fault, loses: 'one-node' }], reversals });
    checkAcks(other.checking);
    t.match(other.violations, [{ point: 3 }], 'and is a violation where one node was lost');
  }
  // A minute later under the same key: the kept answer.
  const late = { began: 61_000, ended: 61_100, beganWall: 60_900, endedWall: 61_000 };
  const kept = call({ op: 'confirm', id: ID }, { ...late, key: 'k', answer: { ...confirm.answer!, replayed: true } });
  for (const [key, expected] of [
    ['k', []],
    ['other', [{ point: 3 }]],
  ] as const) {
    const one = checking(held().opened(HOME, 1_500), [{ ...confirm, key }, kept], {
      faults: [{ ...fault, loses: 'cluster' }],
    });
    checkAcks(one.checking);
    t.match(one.violations, expected);
    t.equal(one.violations.length, expected.length, key);
  }
  const executed = { ...confirm, answer: { ...confirm.answer!, ack: 'executed' as const } };
  const told = checking(held().opened(HOME, 1_500), [executed], { reversals: [record] });
  t.match(checkAcks(told.checking), { excused: 0, reversed: 1 });
  t.strictSame(told.violations, []);
});

t.test('a level that was read is one that the ledger has, unless what made it was lost a moment later', async (t) => {
  const stocked = () => new Ledger().add(KIND.restocked, ONE, [10, 0, 0], 'desk');
  const [location, sku] = ONE.split(':') as [string, string];
  const body = { location, sku, available: 9, reserved: 1, sold: 0, version: 1 };
  const read = call({ op: 'read', refs: [ONE], fresh: true }, { answer: { outcome: 'ok', status: 200, body } });
  const looked = (faults: FaultSpan[], opened = partitionOf(ONE, PARTITIONS)): number => {
    const ledger = stocked().opened(opened, 1_800);
    const { checking: all } = checking(ledger, [read], { faults });
    let found = 0;
    checkOrder({ ...all, report: () => found++ });
    return found;
  };
  const fault = { name: 'empty-master', loses: 'cluster' as const, clocks: false, from: 1_150, to: 2_000 };
  t.equal(looked([]), 1);
  t.equal(looked([{ ...fault, fromWall: 1_050, toWall: 1_900 }]), 0, 'lost after it was read');
  t.equal(looked([{ ...fault, fromWall: 1_050, toWall: 1_900 }], ELSEWHERE), 1, 'another shard was lost');
  t.equal(looked([{ ...fault, fromWall: 1_050, toWall: 1_900, loses: 'none' }]), 1, 'nothing was lost');
  t.equal(looked([{ ...fault, fromWall: 20_000, toWall: 21_000 }]), 1, 'lost much later');
});

t.test('a negative count is seen wherever it shows, also where the ledger has no event of it', async (t) => {
  const [location, sku] = ONE.split(':') as [string, string];
  const seen = (redis: number, postgres: number, told: number): string[] => {
    const found: string[] = [];
    const level = { available: 0, reserved: 0, sold: 10, version: 3 };
    const items = (available: number) => ({ items: new Map([[ONE, { ...level, available }]]) });
    const read = (body: unknown) =>
      call({ op: 'read', refs: [ONE], fresh: true }, { answer: { outcome: 'ok', status: 200, body } });
    const body = { ...level, location, sku, available: told };
    const final = { redis: items(redis), postgres: items(postgres) } as unknown as Checking['final'];
    checkCounts({ calls: [read(body), read({ items: [body] }), call(RETURN)], final }, ({ point, what }) =>
      found.push(`${point}: ${what}`),
    );
    return found;
  };
  t.strictSame(seen(0, 0, 0), []);
  t.match(seen(-1, 0, 0), [/^1: .* in Redis: -1 \+ 0 \+ 10$/]);
  t.match(seen(0, -1, 0), [/^1: .* in Postgres: -1 \+ 0 \+ 10$/]);
  t.match(seen(0, 0, -1), [/^1: call \d+ was told/, /^1: call \d+ was told/]);
});

/** What the checker makes of a ledger that is sound in itself and not what was asked for, and of answers that are not true. */
import t, { type Test } from 'tap';
import { check, type FaultSpan } from './checker/index.js';
import { KIND, SWEEP_ACTOR } from './checker/kinds.js';
import { asFinal, present, replay } from './checker/model.js';
import { partitionOf } from './final/redis.js';
import type { FinalState, Movement } from './final/types.js';
import type { Ack, Answer, Call, LineAsked, Request } from './history.js';

const PARTITIONS = 2;
const ITEM = 'north:a';
const HOME = partitionOf(ITEM, PARTITIONS);
const idIn = (partition: number): string =>
  ['r1', 'r2', 'r3', 'r4', 'r5'].find((id) => partitionOf(id, PARTITIONS) === partition)!;
/** At home where the item is, and in the other partition: then it is a claim. */
const [ID, CLAIM] = [idIn(HOME), idIn(1 - HOME)];
const START = 1_000_000;
const MINUTE = 60_000;

interface Event {
  readonly ref?: string;
  readonly quantity?: number;
  readonly actor?: string;
  readonly detail?: string;
  readonly deadline?: number;
  readonly attempt?: number;
}

/** A run, written down: what is in the ledger, who asked for what and what they were told. 100 ms pass with every call. */
class Run {
  readonly calls: Call[] = [];
  readonly movements: Movement[] = [];
  readonly faults: FaultSpan[] = [];
  at = START;
  private readonly levels = new Map<string, [number, number, number, number]>();

  constructor(limit?: number) {
    for (const partition of [0, 1]) this.push(partition, KIND.epochOpened, '', {});
    if (limit !== undefined) this.event(KIND.configured, 'limit', { detail: JSON.stringify({ buyerLimit: limit }) });
    this.step({ op: 'restock', id: 'start', ref: ITEM, quantity: 10 }, KIND.restocked, [10, 0, 0]);
  }

  event(kind: number, id: string, more: Event = {}, by: readonly [number, number, number] = [0, 0, 0]): this {
    const { ref = ITEM } = more;
    const [a, r, s, v] = this.levels.get(ref) ?? [0, 0, 0, 0];
    if (ref !== '') this.levels.set(ref, [a + by[0], r + by[1], s + by[2], v + 1]);
    return this.push(partitionOf(ref === '' ? id : ref, PARTITIONS), kind, id, { ...more, ref });
  }

  /** What moves no units. */
  push(partition: number, kind: number, id: string, { ref = '', ...more }: Event): this {
    const [available, reserved, sold, version] = this.levels.get(ref) ?? [0, 0, 0, 0];
    const seq = this.movements.filter((one) => one.partition === partition).length + 1;
    const known = { quantity: 0, actor: 'chaos', detail: '', deadline: 0, attempt: 0, ...more };
    const where = { partition, epoch: 1, seq, at: this.at, kind, ref, id };
    this.movements.push({ ...where, ...known, available, reserved, sold, version });
    return this;
  }

  /** @param answer undefined: it never came */
  call(request: Request, answer: Answer | undefined, more: Partial<Call> = {}): this {
    const [began, ended] = [this.at - 50, this.at + 50].map((at) => at - START + MINUTE) as [number, number];
    const when = { began, ended, beganWall: this.at - 50, endedWall: this.at + 50 };
    const how = { n: this.calls.length, client: 'c0', via: 'server-1', over: 'http', wanted: 'replicated' } as const;
    this.calls.push({ ...how, request, ...when, answer: answer ?? { outcome: 'unknown', status: 0 }, ...more });
    this.at += 100;
    return this;
  }

  ok(request: Request, body: object = {}, more: Partial<Call> & { ack?: Ack } = {}): this {
    const { ack = 'replicated', ...rest } = more;
    return this.call(request, { outcome: 'ok', status: 200, ack, body: { ...body } }, rest);
  }

  refused(request: Request, code: string, status = 409, more: Partial<Call> = {}): this {
    return this.call(request, { outcome: status < 500 ? 'failed' : 'unknown', status, code, body: { code } }, more);
  }

  step(request: Request & { id: string }, kind: number, by: readonly [number, number, number], more: Event = {}): this {
    this.event(kind, request.id, { quantity: Math.abs(by[0]), ...more }, by);
    const [available, reserved, sold, version] = this.levels.get(ITEM)!;
    return this.ok(request, { location: 'north', sku: 'a', available, reserved, sold, version });
  }

  /** One unit, held for a minute, unless it says otherwise; `asked` is what the caller had asked for. */
  held(id = ID, { quantity = 1, ms = MINUTE, detail = ' for:ada', ...more }: Partial<Call> & Held = {}): this {
    const deadline = this.at + ms;
    this.event(KIND.held, id, { quantity, detail, deadline }, [-quantity, quantity, 0]);
    const body = { reservationId: id, status: 'held', expiresAt: new Date(deadline).toISOString() };
    return this.ok(more.request ?? reserve(id), body, more);
  }

  /** The same over two partitions: its home is elsewhere. */
  claimed(ms = MINUTE): this {
    const attempt = this.at;
    const about = { ref: '', attempt, deadline: this.at + ms };
    const detail = JSON.stringify([ITEM, 1]);
    this.event(KIND.claimOpened, CLAIM, { ...about, actor: 'ada', detail, deadline: this.at + 10_000 });
    this.event(KIND.held, CLAIM, { ...about, ref: ITEM, quantity: 1, detail: ' for:ada' }, [-1, 1, 0]);
    this.event(KIND.claimSealed, CLAIM, { ...about, actor: 'ada' });
    const body = { reservationId: CLAIM, status: 'held', expiresAt: new Date(about.deadline).toISOString() };
    return this.ok(reserve(CLAIM), body);
  }

  ended(kind: number, id = ID, more: Event = {}): this {
    const by = { [KIND.confirmed]: [0, -1, 1], [KIND.returned]: [1, 0, -1] }[kind] ?? [1, -1, 0];
    return this.event(kind, id, { quantity: 1, deadline: this.deadline(id), ...more }, by as [number, number, number]);
  }

  claimEnded(kind: number, part: number, actor = 'chaos'): this {
    const { attempt } = this.movements.findLast(({ id }) => id === CLAIM)!;
    this.event(kind, CLAIM, { ref: '', attempt, actor, deadline: this.deadline(CLAIM) });
    return this.ended(part, CLAIM, { attempt, actor });
  }

  private deadline(id: string): number {
    return this.movements.findLast((one) => one.id === id)!.deadline;
  }

  extended(asked: number, ms: number): this {
    const deadline = this.at + ms;
    this.push(HOME, KIND.extended, ID, { deadline });
    return this.ok({ op: 'extend', id: ID, holdSeconds: asked }, { expiresAt: new Date(deadline).toISOString() });
  }

  /** Clocks are right again, and nothing is lost, unless it says otherwise. */
  fault(more: Partial<FaultSpan> = {}): this {
    const [fromWall, toWall] = [this.at, this.at + 100];
    const span = { from: fromWall - START + MINUTE, to: toWall - START + MINUTE, fromWall, toWall };
    this.faults.push({ name: 'empty-master', loses: 'cluster', clocks: false, ...span, ...more });
    return this;
  }

  points(): string[] {
    const { calls, faults } = this;
    const movements = [...this.movements].sort((a, b) => a.partition - b.partition || a.seq - b.seq);
    const model = replay(movements, () => undefined);
    const holds = new Map(
      [...model.holds].flatMap(([key, lives]) => {
        const life = present(lives);
        return life ? [[key, asFinal(life)] as const] : [];
      }),
    );
    const lines = (all: readonly LineAsked[]) => all.map((line) => ({ ...line, returned: 0, counted: false }));
    const claims = new Map(
      [...model.claims].map(([key, [one]]) => [key, { ...one!, lines: lines(one!.lines) }] as const),
    );
    const stores = { items: model.items, holds, claims, ids: model.ids };
    const seqs = [0, 1].map((partition) => movements.filter((one) => one.partition === partition).length);
    const meta = new Map(seqs.map((seq, partition) => [partition, { epoch: 1, seq, owner: '', persisted: '' }]));
    const positions = new Map(
      seqs.map((seq, partition) => [partition, { epoch: 1, openedAfter: 0, logEpoch: 1, seq }]),
    );
    const final: FinalState = {
      redis: { ...stores, meta, logLength: new Map(), buyers: model.buyers, now: this.at },
      postgres: { ...stores, movements, positions, quarantine: [], reversals: [] },
    };
    const verdict = check({ calls, final, faults, partitions: PARTITIONS, serverEnds: [], soldOutMs: 250 });
    return verdict.violations.map(({ point, what }) => `${point}: ${what}`);
  }
}

interface Held {
  /** What is in the ledger. */
  readonly quantity?: number;
  readonly ms?: number;
  readonly detail?: string;
}

const reserve = (
  id: string | undefined,
  more: Partial<Request & { op: 'reserve' }> = {},
): Request & { op: 'reserve' } => ({
  ...{ op: 'reserve', buyer: 'ada', lines: [{ ref: ITEM, quantity: 1 }], holdSeconds: 60 },
  ...(id === undefined ? {} : { id }),
  ...more,
});
const CONFIRM = { op: 'confirm', id: ID } as const;
const RELEASE = { op: 'release', id: ID } as const;
const sold = (run = new Run().held()): Run => run.ended(KIND.confirmed).ok(CONFIRM);
const TWO = reserve(ID, { lines: [{ ref: ITEM, quantity: 2 }] });

function seen(test: Test, what: string, run: Run, pattern: RegExp): void {
  test.match(run.points(), [pattern], what);
}

t.test('what was done is as much as somebody asked for, of that, for that buyer', async (t) => {
  const restock = { op: 'restock', id: 'm1', ref: ITEM, quantity: 3 } as const;
  t.strictSame(new Run().step(restock, KIND.restocked, [3, 0, 0]).points(), []);
  seen(t, 'a hundred times', new Run().step(restock, KIND.restocked, [300, 0, 0]), /^5: restock m1 .* with 300, which/);

  const adjust = { op: 'adjust', id: 'a1', ref: ITEM } as const;
  const adjusted = (by: number, asked: { by?: number; countedTo?: number }): Run =>
    new Run().held().step({ ...adjust, ...asked }, KIND.adjusted, [by, 0, 0], { quantity: by });
  t.strictSame(adjusted(-2, { by: -2 }).points(), []);
  t.strictSame(adjusted(5, { countedTo: 15 }).points(), [], 'what is held is counted too');
  seen(t, 'another number', adjusted(2, { by: -2 }), /^5: adjust a1/);
  seen(t, 'counted to something else', adjusted(6, { countedTo: 15 }), /^5: adjust a1/);

  const deduct = { op: 'deduct', id: 'o1', ref: ITEM, quantity: 1, buyer: 'bob' } as const;
  const deducted = (units: number, buyer: string): Run =>
    new Run().step(deduct, KIND.deducted, [-units, 0, units], { detail: ` for:${buyer}` });
  t.strictSame(deducted(1, 'bob').points(), []);
  seen(t, 'more', deducted(3, 'bob'), /^5: deduct o1 of north:a is on record with 3 for bob/);
  seen(t, 'for somebody else', deducted(1, 'eve'), /^5: deduct o1 of north:a is on record with 1 for eve/);
});

t.test('what is held are the lines that were asked for, for so long; also where nobody was answered', async (t) => {
  t.strictSame(new Run().held().points(), []);
  t.match(new Run().held(ID, { ms: 3_600_000 }).points(), [/^9: r\d is held for 3600000 ms/]);
  const unknown = (quantity: number, ms = MINUTE): Run => {
    const run = new Run();
    run.event(KIND.held, ID, { quantity, detail: ' for:ada', deadline: run.at + ms }, [-quantity, quantity, 0]);
    return run.call(TWO, undefined);
  };
  t.strictSame(unknown(2).points(), []);
  seen(t, 'half of it', unknown(1), /^5: reservation r\d is of 1 north:a for ada, which nobody asked for/);
  seen(t, 'too long', unknown(2, MINUTE + 1), /^9: r\d is held for 60001 ms/);
  t.strictSame(new Run().claimed().points(), []);
  seen(t, 'over two partitions', new Run().claimed(MINUTE - 500), /^9: r\d is held until \d+, which nobody asked for/);
  t.strictSame(
    new Run()
      .fault({ clocks: true, fromWall: START, loses: 'none' })
      .claimed(MINUTE - 500)
      .points(),
    [],
    'by the clock of a node that was off',
  );
});

t.test('a hold lasts longer by what was asked for and not refused', async (t) => {
  t.strictSame(new Run().held().extended(120, 120_000).points(), []);
  seen(t, 'less', new Run().held().extended(120, 61_000), /^9: r\d was extended by 61000 ms/);
  const refused = new Run().held().extended(120, 120_000);
  refused.push(HOME, KIND.extended, ID, { deadline: refused.at + 3_600_000 });
  refused.refused({ op: 'extend', id: ID, holdSeconds: 3_600 }, 'shard_unavailable', 503);
  refused.calls.at(-1)!.answer = { outcome: 'failed', status: 503, code: 'shard_unavailable' };
  seen(t, 'refused', refused, /^9: r\d was extended by 3600000 ms/);
});

t.test('nothing ends by itself before its time', async (t) => {
  t.strictSame(sold().points(), []);
  seen(t, 'sold', new Run().held().ended(KIND.confirmed), /^5: r\d is confirmed, and nobody/);
  t.strictSame(new Run().held().ended(KIND.confirmed).call(CONFIRM, undefined).points(), [], 'unknown');
  t.strictSame(new Run().held().ended(KIND.released).ok(RELEASE).points(), []);
  seen(t, 'released', new Run().held().ended(KIND.released), /^5: r\d is released, and nobody/);
  const claim = () => new Run().claimed();
  t.match(claim().claimEnded(KIND.claimConfirmed, KIND.confirmed).points(), [/claimConfirmed, and/, / confirmed, and/]);
  const release = () => claim().claimEnded(KIND.claimReleased, KIND.released);
  t.match(release().points(), [/^5: r\d is claimReleased, and nobody/]);
  const lacking = (run: Run): Run => run.refused({ op: 'confirm', id: CLAIM }, 'insufficient_stock');
  t.match(lacking(release()).points(), [/claimReleased/, /^8: .* its units were held/], 'nothing was lost');
  const lost = (code: string): string[] => {
    const run = claim();
    run.fault().push(HOME, KIND.epochOpened, '', {});
    run.at += MINUTE / 2;
    run.claimEnded(KIND.claimReleased, KIND.released).refused({ op: 'confirm', id: CLAIM }, code);
    return run.points().filter((what) => !what.startsWith('6'));
  };
  for (const code of ['insufficient_stock', 'hold_expired']) t.strictSame(lost(code), [], 'a part of it was lost');
});

t.test('no more comes back than anybody asked for', async (t) => {
  // `ended` moves one unit.
  const both = (run: Run, kind: number, by: readonly [number, number, number]): Run => {
    const { deadline } = run.movements.at(-1)!;
    return run.event(kind, ID, { quantity: 2, deadline }, by);
  };
  const soldTwo = (): Run =>
    both(new Run().held(ID, { quantity: 2, request: TWO }), KIND.confirmed, [0, -2, 2]).ok(CONFIRM);
  const asked = { op: 'return', id: ID, lines: [{ ref: ITEM, quantity: 1 }] } as const;
  const told = (returned: number) => ({ lines: [{ location: 'north', sku: 'a', quantity: 2, returned }] });
  t.strictSame(soldTwo().ended(KIND.returned).ok(asked, told(1)).points(), []);
  t.strictSame(both(soldTwo(), KIND.returned, [2, 0, -2]).ok({ op: 'return', id: ID }, told(2)).points(), []);
  seen(t, 'two', both(soldTwo(), KIND.returned, [2, 0, -2]).ok(asked, told(2)), /^5: 2 units of north:a came back/);
  seen(t, 'nobody asked', soldTwo().ended(KIND.returned), /^5: r\d is returned, and nobody/);
});

t.test('units count towards a limit exactly where there is one', async (t) => {
  t.strictSame(new Run(3).held(ID, { detail: 'limited for:ada' }).points(), []);
  seen(t, 'not counted', new Run(3).held(), /^1: event .* not counted for ada, where the limit is 3/);
  seen(t, 'no limit', new Run().held(ID, { detail: 'limited for:ada' }), /^1: event .* counted for ada/);
});

t.test('a refusal is true at some moment of the call', async (t) => {
  const other = 'r9';
  const about = (code: string, run: Run, request: Request, status?: number): string[] =>
    run.refused(request, code, status).points();
  const untrue = (code: string, run: Run, request: Request, pattern: RegExp, status?: number): void =>
    void t.match(about(code, run, request, status), [pattern], `${code} is not true`);
  const isTrue = (code: string, run: Run, request: Request, status?: number): void =>
    void t.strictSame(about(code, run, request, status), [], `${code} is true`);
  const expired = (): Run => {
    const run = new Run().held(ID, { ms: 1_000, request: reserve(ID, { holdSeconds: 1 }) });
    run.at += 1_000;
    return run;
  };
  untrue('hold_expired', new Run().held(), CONFIRM, /^9: .* but it was held all the time/, 410);
  isTrue('hold_expired', expired(), CONFIRM, 410);
  isTrue('hold_expired', expired().ended(KIND.expired, ID, { actor: SWEEP_ACTOR }), CONFIRM, 410);
  untrue('reservation_not_found', new Run().held(), CONFIRM, /^8: .* but it was held/, 404);
  isTrue('reservation_not_found', new Run(), CONFIRM, 404);
  untrue('reservation_released', sold(), { ...CONFIRM }, /^8: .* but it was confirmed/);
  isTrue('reservation_confirmed', sold(), RELEASE);
  untrue('reservation_confirmed', new Run().held(), RELEASE, /^8: .* but it was held/);
  untrue('reservation_held', sold(), { op: 'return', id: ID }, /^8: .* but it was confirmed/);
  untrue('sku_not_found', new Run(), reserve(other), /^8: .* its items had been stocked/, 404);
  isTrue('sku_not_found', new Run(), reserve(other, { lines: [{ ref: 'north:none', quantity: 1 }] }), 404);
  untrue('buyer_limit', new Run(), reserve(other), /^8: .* below the limit/);
  untrue('buyer_limit', new Run(3), reserve(other), /^8: .* below the limit/);
  isTrue('buyer_limit', new Run(1).held(ID, { detail: 'limited for:ada' }), reserve(other));
  const restock = { op: 'restock', id: 'start', ref: ITEM, quantity: 10 } as const;
  untrue('id_conflict', new Run().held(), reserve(ID), /^5: .* no other content/);
  isTrue('id_conflict', new Run().held(), TWO);
  untrue('id_conflict', new Run().claimed(), reserve(CLAIM), /^5: .* no other content/);
  untrue('id_conflict', new Run(), restock, /^5: .* no other content/);
  isTrue('id_conflict', new Run(), { ...restock, quantity: 11 });
  const adjust = { op: 'adjust', id: 'a1', ref: ITEM } as const;
  isTrue('invalid_request', new Run(), { ...adjust, by: 0 }, 400);
  untrue('invalid_request', new Run(), { ...adjust, by: 1 }, /^8: .* it made sense/, 400);
  isTrue('insufficient_stock', new Run(), { ...adjust, by: -11 });
  untrue('insufficient_stock', new Run(), { ...adjust, by: -10 }, /^8: .* enough units/);
  isTrue('insufficient_stock', new Run().held(), { ...adjust, countedTo: 0 });
  untrue('insufficient_stock', new Run().held(), { ...adjust, countedTo: 1 }, /^8: .* enough units/);
  untrue('insufficient_stock', new Run().held(), CONFIRM, /^8: .* its units were held/);
  untrue('idempotency_in_flight', new Run(), reserve(other), /^5: .* nobody else asked/);
  isTrue('idempotency_in_flight', new Run().call(reserve(other), undefined), reserve(other));
  untrue('internal_error', new Run(), reserve(other), /^8: .* nobody is told so/, 500);
  untrue('not_on_sale', new Run(), reserve(other), /^8: .* nobody is told so/);
  isTrue('outcome_unknown', new Run(), reserve(other), 503);
});

t.test('what is said near a loss, or by a clock that is off, is not held against anybody', async (t) => {
  const lost = (partition: number): string[] => {
    const run = new Run().held();
    run.fault();
    return run.push(partition, KIND.epochOpened, '', {}).refused(CONFIRM, 'reservation_not_found', 404).points();
  };
  const about = (all: string[]): string[] => all.filter((what) => what.startsWith('8'));
  t.equal(about(lost(HOME)).length, 0);
  t.equal(about(lost(1 - HOME)).length, 1, 'of another partition');
  const clock = (clocks: boolean): string[] =>
    new Run().held().fault({ clocks, loses: 'none' }).refused(CONFIRM, 'hold_expired', 410).points();
  t.strictSame(clock(true), []);
  t.equal(clock(false).length, 1);
});

t.test('what is found is what there was', async (t) => {
  const find = (run: Run, status: string, until?: number): string[] => {
    const { deadline } = run.movements.at(-1)!;
    return run.ok({ op: 'find', id: ID }, { status, expiresAt: new Date(until ?? deadline).toISOString() }).points();
  };
  t.strictSame(find(new Run().held(), 'held'), []);
  t.match(find(new Run().held(), 'confirmed'), [/^8: .* but it was held/]);
  t.match(find(new Run().held(), 'held', START), [/^8: .* never had the deadline/]);
  t.match(find(sold(), 'held'), [/^8: .* but it was confirmed/]);
  // What ended it was written down by a clock that was an hour behind: it had not ended before.
  const hour = 3_600_000;
  const ended = (shiftMs: number): string[] => {
    const run = new Run().held();
    const { deadline } = run.movements.at(-1)!;
    run.ok({ op: 'find', id: ID }, { status: 'held', expiresAt: new Date(deadline).toISOString() });
    run.fault({ clocks: true, loses: 'none', shiftMs });
    run.at -= hour;
    run.ended(KIND.released);
    run.at += hour;
    return run.ok(RELEASE, { status: 'released' }).points();
  };
  t.strictSame(ended(-hour), []);
  t.match(ended(hour).join('\n'), /^8: call \d+ \(find .* but it was released/m, 'none was');
});

t.test('a key is one request and has one answer', async (t) => {
  const key = 'k1';
  const alone = { key, request: reserve(undefined, { buyer: 'alone' }), detail: ' for:alone' };
  const once = new Run().held(ID, alone);
  t.strictSame(once.points(), []);
  const idInHome = ['x1', 'x2', 'x3', 'x4'].find((id) => partitionOf(id, PARTITIONS) === HOME)!;
  t.match(once.held(idInHome, { ...alone, client: 'c1' }).points(), [/^5: key k1 made 2 reservations of one content/]);

  // The key was forgotten: other content under it makes another. Whoever asked first was not answered, and asked again.
  const again = new Run();
  const first = { status: 'held', expiresAt: new Date(again.at + MINUTE).toISOString(), reservationId: ID };
  const more = { quantity: 1, detail: ' for:alone', deadline: again.at + MINUTE };
  again.event(KIND.held, ID, more, [-1, 1, 0]).call(alone.request, undefined, { key });
  again.ok(alone.request, first, { key });
  const other = reserve(undefined, { buyer: 'alone', lines: [{ ref: ITEM, quantity: 2 }] });
  again.held(idInHome, { ...alone, request: other, quantity: 2 });
  t.strictSame(again.points(), []);

  const answered = (): Run => new Run().held().ended(KIND.confirmed).ok(CONFIRM, { told: 1 }, { key });
  const replayed = (body: object, more: Partial<Call> = {}, run = answered()): Run =>
    run.call(CONFIRM, { outcome: 'ok', status: 200, ack: 'replicated', body, replayed: true }, { key, ...more });
  t.strictSame(replayed({ told: 1 }).points(), []);
  t.strictSame(replayed({ told: 1 }, { client: 'c1' }).points(), [], 'whoever asks');
  t.match(replayed({ told: 2 }, { client: 'c1' }).points(), [/^5: call \d+ was answered with something else/]);
  const unseen = answered().call(CONFIRM, undefined, { key });
  t.strictSame(
    replayed({ told: 2 }, {}, unseen).points(),
    [],
    'the first could not be kept, and nobody saw the second',
  );

  const mismatch = (first: Request): string[] =>
    sold(new Run().held().refused(first, 'reservation_held', 409, { key }))
      .refused(CONFIRM, 'idempotency_mismatch', 422, { key })
      .points()
      .filter((what) => what.includes('idempotency'));
  t.strictSame(mismatch({ op: 'return', id: ID }), []);
  t.match(mismatch(CONFIRM), [/^5: .* the key was used for nothing else/]);
});

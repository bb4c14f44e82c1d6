/** What of an answer that is gone is excused, what answers may claim, and what a clock that was off hides; by short histories. */
import t from 'tap';
import { check, type CheckInput, type FaultSpan } from './checker/index.js';
import { KIND, SWEEP_ACTOR } from './checker/kinds.js';
import { replay } from './checker/model.js';
import type { Movement, Reversal } from './final/types.js';
import type { Answer, Call, Request } from './history.js';
import { outagesOf } from './nemesis-log.js';

const START = 1_000_000;
const REF = 'north:a';
const OTHER = 'south:b';
type Step = readonly [number, number, number];

/** One partition, its calls and what was broken; times are ms since its beginning. */
class Story {
  readonly calls: Call[] = [];
  readonly reversals: Reversal[] = [];
  private readonly movements: Movement[] = [];
  private readonly levels = new Map<string, { available: number; reserved: number; sold: number; version: number }>();
  private epoch = 1;

  constructor(private readonly more: Partial<CheckInput> = {}) {
    this.opened(1, -100).stock(REF).stock(OTHER);
  }

  event(kind: number, at: number, id = '', by: Step = [0, 0, 0], ref = REF, more: Partial<Movement> = {}): this {
    const before = this.levels.get(ref) ?? { available: 0, reserved: 0, sold: 0, version: 0 };
    const [a, r, s] = by;
    const { available, reserved, sold, version } = before;
    const level = { available: available + a, reserved: reserved + r, sold: sold + s, version: version + 1 };
    if (ref !== '') this.levels.set(ref, level);
    this.movements.push({
      ...(ref === '' ? { available: 0, reserved: 0, sold: 0, version: 0 } : level),
      ...{ partition: 0, epoch: this.epoch, seq: this.movements.length + 1, at: START + at, kind, ref, id },
      ...{ quantity: Math.max(...by.map(Math.abs)), actor: 'chaos', detail: '', deadline: 0, attempt: 0, ...more },
    });
    return this;
  }

  opened(epoch: number, at: number): this {
    this.epoch = epoch;
    return this.event(KIND.epochOpened, at, '', [0, 0, 0], '');
  }

  stock(ref: string): this {
    const id = `stock-${ref}`;
    this.event(KIND.restocked, 0, id, [10, 0, 0], ref);
    return this.call({ op: 'restock', id, ref, quantity: 10 }, -5, 5, this.level('durable', ref));
  }

  held(id: string, at: number, holdMs = 3_600_000): this {
    const more = { deadline: START + at + holdMs, detail: ' for:ada' };
    this.event(KIND.held, at, id, [-1, 1, 0], REF, more);
    const body = { reservationId: id, status: 'held', expiresAt: new Date(more.deadline).toISOString() };
    const lines = [{ ref: REF, quantity: 1 }];
    const request = { op: 'reserve', id, buyer: 'ada', lines, holdSeconds: holdMs / 1000 } as const;
    return this.call(request, at - 5, at + 5, { outcome: 'ok', status: 201, ack: 'durable', body });
  }

  ended(kind: number, id: string, at: number, actor = 'chaos'): this {
    const by: Step = kind === KIND.confirmed ? [0, -1, 1] : [1, -1, 0];
    return this.event(kind, at, id, by, REF, { actor });
  }

  adjusted(id: string, at: number, asked = at): this {
    this.event(KIND.adjusted, at, id, [1, 0, 0]);
    return this.call({ op: 'adjust', id, ref: REF, by: 1 }, asked - 5, asked + 5, this.level('durable'));
  }

  confirm(id: string, at: number, ack: Answer['ack'], more: Partial<Call> = {}): this {
    const answer = { outcome: 'ok', status: 200, ack, body: { reservationId: id, status: 'confirmed' } } as const;
    return this.call({ op: 'confirm', id }, at - 5, at + 5, answer, more);
  }

  call(request: Request, began: number, ended: number, answer: Answer, more: Partial<Call> = {}): this {
    this.calls.push({
      ...{ n: this.calls.length, client: 'c0', via: 'server-1', over: 'http', request, wanted: 'replicated', answer },
      ...{ began, ended, beganWall: START + began, endedWall: START + ended, ...more },
    });
    return this;
  }

  level(ack?: Answer['ack'], ref = REF): Answer {
    const [location, sku] = ref.split(':') as [string, string];
    return { outcome: 'ok', status: 200, ack, body: { location, sku, ...this.levels.get(ref) } };
  }

  read(at: number, refs: readonly string[], fresh: boolean, answer: Answer): this {
    return this.call({ op: 'read', refs, fresh }, at, at + 5, answer);
  }

  reversal(kind: number, id: string, lostSeq: number): this {
    this.reversals.push({ partition: 0, id, ref: '', kind, lostEpoch: 1, lostSeq });
    return this;
  }

  found(points: readonly number[]): string[] {
    return this.verdict().violations.filter(({ point }) => points.includes(point)).map(({ what }) => what); // prettier-ignore
  }

  verdict() {
    const model = replay(this.movements, () => undefined);
    const last = this.movements.at(-1)!;
    const contents = { items: model.items, holds: new Map(), claims: new Map(), ids: model.ids };
    const meta = new Map([[0, { epoch: last.epoch, seq: last.seq, owner: '', persisted: '' }]]);
    const positions = new Map([[0, { epoch: last.epoch, openedAfter: 0, logEpoch: last.epoch, seq: last.seq }]]);
    const redis = { ...contents, meta, logLength: new Map<number, number>(), buyers: model.buyers, now: START };
    const { movements, reversals } = this;
    const postgres = { ...contents, movements, positions, quarantine: [], reversals };
    const input = { calls: this.calls, final: { redis, postgres }, faults: [], partitions: 1, serverEnds: [] };
    return check({ ...input, soldOutMs: 250, ...this.more });
  }
}

const fault = (name: string, loses: FaultSpan['loses'], from: number, to: number, shiftMs?: number): FaultSpan => ({
  ...{ name, loses, from, to, fromWall: START + from, toWall: START + to },
  ...(shiftMs === undefined ? { clocks: false } : { clocks: true, shiftMs }),
});

t.test('an executed answer may be gone only where its partition lost its end', async (t) => {
  const gone = (more: Partial<CheckInput> = {}) => new Story(more).held('r', 1_000).confirm('r', 1_100, 'executed');
  const server = (at: number) => ({ serverEnds: [{ name: 'server-1', at, since: at - 1_000 }] });
  t.match(gone().found([3]), [/gone where nothing was lost/]);
  t.match(
    gone().reversal(KIND.confirmed, 'r', 5).found([3]),
    [/gone where nothing was lost/],
    'whatever a record says',
  );
  t.match(gone(server(61_000)).found([3]), [/gone where nothing was lost/], 'a server ended a minute later');
  const lost = (more: Partial<CheckInput> = {}) => gone(more).opened(2, 3_000);
  t.match(lost().found([3]), [/no reversal says so/]);
  t.strictSame(lost().reversal(KIND.confirmed, 'r', 5).found([3]), []);
  t.match(lost().reversal(KIND.confirmed, 'r', 5).verdict().acks, { reversed: 1 });
  t.strictSame(lost(server(4_000)).found([3]), [], 'the server could not tell any more');
  t.match(lost(server(4_000)).verdict().acks, { unrecorded: 1 });
  t.match(lost(server(61_000)).found([3]), [/no reversal says so/], 'it had a minute to tell');
  t.match(lost(server(500)).found([3]), [/no reversal says so/], 'another gave the answer');
  const later = gone(server(20_000)).adjusted('a', 15_000).opened(2, 18_000);
  t.match(later.found([3]), [/gone where nothing was lost/], 'what came after it is left');
});

t.test('what a record says to be gone is not there', async (t) => {
  const sold = (): Story =>
    new Story().held('r', 1_000).ended(KIND.confirmed, 'r', 1_100).confirm('r', 1_100, 'durable');
  t.strictSame(sold().reversal(KIND.confirmed, 'r', 99).found([3]), []);
  t.match(sold().reversal(KIND.confirmed, 'r', 5).found([3]), [/a record says that confirmed of r was taken back/]);
});

t.test('a replicated answer goes with the end of a shard, not out of its middle', async (t) => {
  const shard = { faults: [fault('kill-shard', 'cluster', 14_000, 18_000)] };
  const gone = (at: number): Story => new Story(shard).held('r', 1_000).confirm('r', at, 'replicated');
  t.strictSame(gone(13_900).opened(2, 16_000).found([3]), []);
  t.match(gone(13_900).opened(2, 16_000).verdict().acks, { excused: 1 });
  t.match(
    gone(1_100).adjusted('a', 13_000).opened(2, 16_000).found([3]),
    [/and is gone/],
    'what came after it is left',
  );
  t.match(gone(13_900).found([3]), [/and is gone/], 'nothing was lost');
});

t.test('nothing is durable without Postgres, nor replicated without the replica', async (t) => {
  const out = (ack: 'durable' | 'replicated', partitions?: number[]) => {
    const outage = { ack, from: START + 1_000, to: START + 5_000, ...(partitions ? { partitions } : {}) };
    return { outages: [outage] };
  };
  const sold = (more: Partial<CheckInput>, ack: Answer['ack'], at: number, made = at): string[] =>
    new Story(more).held('r', 500).ended(KIND.confirmed, 'r', made).confirm('r', at, ack).found([3]);
  t.match(sold(out('durable'), 'durable', 3_000), [/answered durable while Postgres was dead/]);
  t.strictSame(sold(out('durable'), 'replicated', 3_000), []);
  t.strictSame(sold(out('durable'), 'durable', 6_000), [], 'it is there again');
  t.strictSame(sold(out('durable'), 'durable', 3_000, 900), [], 'made before, and asked again');
  t.match(sold(out('replicated', [0]), 'replicated', 3_000), [/while its replica heard nothing/]);
  t.strictSame(sold(out('replicated', [1]), 'replicated', 3_000), [], 'another master');
  const entry = (wall: number, fields?: Record<string, unknown>) =>
    ({ at: 0, wall, what: '', ...(fields ? { fields } : {}) }) as const;
  const cut = entry(1, { lacks: 'replicated', partitions: [2] });
  const log = [cut, entry(2), entry(3, { regains: 'replicated' })];
  t.strictSame(outagesOf(log), [{ ack: 'replicated', from: 1, to: 3, partitions: [2] }]);
  t.strictSame(outagesOf([cut, entry(2)]), [], 'its end is not known');
});

t.test('a clock that jumped leaves what has nothing to do with it checked', async (t) => {
  const jumps = [[], [fault('clock-jump', 'one-node', 600_000, 605_000, 30_000)]];
  for (const faults of jumps) {
    const turned = new Story({ faults }).adjusted('m2', 1_020).adjusted('m1', 1_020, 1_000);
    t.match(turned.found([8]), [/was answered before event 4 was asked for/]);
    const story = (): Story => new Story({ faults });
    const lines = [{ ref: REF, quantity: 1 }];
    const soldOut: Answer = { outcome: 'failed', status: 409, code: 'insufficient_stock' };
    const asked = { op: 'reserve', id: 'x', buyer: 'ada', lines, holdSeconds: 5 } as const;
    t.match(story().call(asked, 3_000, 3_010, soldOut).found([8]), [/refused for want of stock/]);
    t.strictSame(story().adjusted('m1', 1_000).adjusted('m2', 1_100).found([8]), []);
    // By a clock that is half a minute ahead.
    const ahead = story().adjusted('m1', 631_000, 601_000).adjusted('m2', 606_000);
    t.equal(ahead.found([8]).length, faults.length === 0 ? 1 : 0);
    const asOfThen = story().event(KIND.adjusted, 632_000, 'm1', [1, 0, 0]);
    const adjust = { op: 'adjust', id: 'm1', ref: REF, by: 1 } as const;
    asOfThen.call(adjust, 620_000, 620_010, { outcome: 'failed', status: 409 });
    asOfThen.call(adjust, 640_000, 640_010, asOfThen.level('durable'));
    t.equal(asOfThen.found([4]).length, 1, 'asked for only afterwards');
  }
});

t.test('what is answered as done was done by then', async (t) => {
  const early = (more: Partial<CheckInput> = {}) => new Story(more).held('r', 1_000).confirm('r', 1_100, 'executed');
  t.match(early().ended(KIND.confirmed, 'r', 21_000).found([8]), [/answered ok \d+ ms before it was done/]);
  t.strictSame(early().ended(KIND.confirmed, 'r', 1_100).found([8]), []);
  t.strictSame(early().opened(2, 2_000).ended(KIND.confirmed, 'r', 21_000).found([8]), [], 'lost, and done again');
});

t.test('what is read is what was asked for, and no older than it says', async (t) => {
  const read = (at: number, fresh: boolean, staleMs?: number): string[] => {
    const story = new Story();
    const before = story.level();
    const body = { ...(before.body as object), ...(staleMs === undefined ? {} : { staleMs }) };
    return story
      .adjusted('m', 1_000)
      .read(at, [REF], fresh, { ...before, body })
      .found([8]);
  };
  t.match(read(3_600_000, true, 0), [/which was over \d+ ms before it was asked for/]);
  t.strictSame(read(990, true, 0), []);
  t.strictSame(read(1_900, false, 950), []);
  t.match(read(1_900, false, 500), [/which was over/], 'it said less');
  t.match(read(1_900, false, 5_000), [/may be 5000 ms old, as it says itself/]);
  t.match(read(1_100, true, 500), [/may be 500 ms old, as it says itself/]);
  const named = (refs: readonly string[], told: readonly string[], over: Call['over'] = 'http'): string[] => {
    const story = new Story();
    const items = told.map((ref) => story.level(undefined, ref).body);
    const request = { op: 'read', refs, fresh: false } as const;
    return story.call(request, 1_000, 1_005, { outcome: 'ok', status: 200, body: { items } }, { over }).found([8]);
  };
  t.strictSame(named([REF, OTHER], [OTHER, REF]), []);
  t.match(named([REF], [OTHER]), [/was told of south:b/]);
  t.match(named([REF, OTHER], [REF]), [/was told of north:a/]);
  t.match(named([REF, OTHER], [REF, REF]), [/was told of/]);
  t.strictSame(named([REF, OTHER], [REF], 'stream'), [], 'the stream leaves out what it does not know');
  t.match(named([REF], [OTHER], 'stream'), [/was told of/]);
});

t.test('the sweep comes soon after a deadline, unless something was broken', async (t) => {
  const swept = (at: number, more: Partial<CheckInput> = {}): string[] =>
    new Story(more).held('r', 1_000, 1_000).ended(KIND.expired, 'r', at, SWEEP_ACTOR).found([9]);
  t.match(swept(82_000), [/expired 80000 ms after its deadline, 80000 ms of them while nothing was broken/]);
  t.strictSame(swept(4_000), []);
  t.strictSame(swept(82_000, { faults: [fault('freeze-worker', 'none', 3_000, 80_000)] }), []);
  t.match(swept(82_000, { faults: [fault('freeze-worker', 'none', 3_000, 30_000)] }), [/53000 ms of them/]);
});

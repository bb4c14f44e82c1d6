/** Seeded calls: few items, buyers and ids, so that everything meets everything; ids are used again with the same and other content. */
import fc from 'fast-check';
import { type World } from '../support/scripts.js';
import { hold, LONG_AGO, stock, claim as claimRecord } from '../scripts/fixtures.js';
import { type ScriptName } from './oracle.js';

/** One operation before it is told what it is about; what depends on the moment is filled in when it is sent. */
export interface Draft {
  readonly k: number;
  readonly back: number;
  readonly variant: number;
  readonly family: number;
  readonly item: number;
  readonly quantity: number;
  readonly buyer: number;
  readonly hold: number;
  readonly attempt: number;
  readonly delta: number;
  readonly choice: number;
  readonly bad: boolean;
}
export interface DraftCall {
  readonly script: ScriptName;
  readonly partition: number;
  readonly drafts: readonly Draft[];
}

const WEIGHTS: Readonly<Record<ScriptName, number>> = {
  'stock/reserve': 30,
  'stock/confirm': 12,
  'stock/release': 9,
  'stock/expire': 8,
  'stock/return': 8,
  'stock/extend': 6,
  'stock/abort': 5,
  'stock/deduct': 10,
  'stock/restock': 6,
  'stock/adjust': 6,
  'stock/configure': 5,
  'stock/check': 3,
  'stock/find': 4,
  'stock/due': 6,
  'stock/settle': 6,
  'stock/touch': 1,
  'claims/open': 8,
  'claims/seal': 8,
  'claims/abort': 4,
  'claims/confirm': 5,
  'claims/release': 4,
  'claims/extend': 4,
  'claims/expire': 5,
  'claims/return': 7,
};
export const IDS = 12;
/** Calls of one partition after which ids are new ones. */
const GENERATION = 40;

const weighted = <T>(...choices: readonly (readonly [number, T])[]): fc.Arbitrary<T> =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));

const draft: fc.Arbitrary<Draft> = fc.record({
  k: fc.nat(IDS - 1),
  back: weighted([8, 0], [2, 1], [1, 2]),
  variant: weighted([14, 0], [1, 1], [1, 2]),
  family: fc.nat(99),
  item: weighted([20, 0], [20, 1], [15, 2], [15, 3], [15, 4], [10, 5], [3, 6]),
  quantity: fc.integer({ min: 1, max: 4 }),
  buyer: fc.nat(4),
  hold: weighted([3, 0], [5, 1], [2, 2], [1, 600]),
  attempt: fc.integer({ min: 1, max: 3 }),
  delta: weighted([8, 0], [1, 1], [1, -1]),
  choice: fc.nat(99),
  bad: weighted([59, false], [1, true]),
});

function batch(script: ScriptName): fc.Arbitrary<readonly Draft[]> {
  if (script === 'stock/due') return fc.tuple(draft);
  const of = (maxLength: number) => fc.array(draft, { minLength: 1, maxLength, size: 'max' });
  return fc.oneof({ weight: 12, arbitrary: of(24) }, { weight: 1, arbitrary: of(128) });
}

/** Calls with about `operations` operations altogether. */
export function draftCalls(seed: number, operations: number, partitions: number): DraftCall[] {
  const call = fc.oneof(
    ...(Object.entries(WEIGHTS) as [ScriptName, number][]).map(([script, weight]) => ({
      weight,
      arbitrary: fc.record({
        script: fc.constant(script),
        partition: fc.nat(partitions - 1),
        drafts: batch(script),
      }),
    })),
  );
  const calls: DraftCall[] = [];
  let count = 0;
  for (let part = 0; count < operations; part++)
    for (const next of fc.sample(call, { seed: seed + part, numRuns: 500 })) {
      if (count >= operations) break;
      calls.push(next);
      count += next.drafts.length;
    }
  return calls;
}

const LETTERS = ['a', 'b', 'c', 'd', 'e', 'new', 'never'];
export const refOf = (item: number): string => `store:${LETTERS[item]!}`;
const BUYERS = ['', 'ann', 'bob', 'cid', 'dee'];

/** What the partitions of a run begin with: items of every kind, and records old enough to be forgotten. */
export function beginning(now: number): Partial<World> {
  const day = 86_400_000;
  const [a, b, c, d, e] = [0, 1, 2, 3, 4].map(refOf) as [string, string, string, string, string];
  const one = (ref: string) => [[ref, 1, 0, 0]] as const;
  return {
    stock: {
      [a]: stock(60, 1, 5),
      [b]: stock(40, 1, 5, 1, { l: 5 }),
      [c]: stock(40, 0, 5, 1, { o: now - 1_000 }),
      [d]: stock(40, 0, 5, 1, { m: 'gate', h: 1, w: 20 }),
      [e]: stock(30, 0, 5, 1, { w: 8, h: 2 }),
    },
    buyers: { [b]: { ann: 3 } },
    holds: {
      late: hold({ deadline: 1_000, lines: one(a) }),
      lost: hold({ deadline: 1_000, attempt: 2, lines: [[b, 1, 0, 1]], buyer: 'ann' }),
      gone: hold({ state: 3, deadline: 1_000, resolved: now - day, lines: one(a) }),
      going: hold({ state: 4, deadline: 1_000, resolved: now - day + 6_000, lines: one(a) }),
      kept: hold({ state: 2, deadline: 1_000, resolved: now - day, lines: one(a) }),
      past: hold({ state: 5, deadline: 1_000, resolved: now - 30 * day, lines: one(a) }),
    },
    claims: {
      late: claimRecord({ deadline: 1_000 }),
      half: claimRecord({ state: 6, deadline: 1_000 }),
      gone: claimRecord({ state: 3, deadline: 1_000, resolved: now - day }),
      kept: claimRecord({ state: 2, deadline: 1_000, resolved: now - day }),
      past: claimRecord({ state: 5, deadline: 1_000, resolved: now - day }),
    },
    ids: { [`gone:${a}`]: [2, 77, 1, 2, 3, 4, LONG_AGO], [`kept:${a}`]: [2, 77, 1, 2, 3, 4, LONG_AGO] },
    due: {
      'late lost': 1_000,
      'gone going kept past c:late c:half': 2_000,
      'c:gone c:kept': 2_000,
      [`i:gone:${a}`]: 3_000,
      [`i:kept:${a}`]: now + day,
    },
  };
}

/** What the workload learns while it runs, of one partition. */
export class Scene {
  readonly attempts = new Map<string, number>();
  members: readonly string[] = [];
  private calls = 0;

  /** Operations of a call, as of this moment. */
  ops(call: DraftCall, now: number): object[] {
    const generation = Math.floor(this.calls++ / GENERATION);
    return call.drafts.map((one) => new Wording(this, call.script, one, generation, now).op());
  }
}

const OLD = ['late', 'lost', 'gone', 'going', 'kept', 'past', 'half'];

class Wording {
  constructor(
    private readonly scene: Scene,
    private readonly script: ScriptName,
    private readonly draft: Draft,
    private readonly generation: number,
    private readonly now: number,
  ) {}

  op(): object {
    const { script, draft } = this;
    const op = script.startsWith('claims/') ? this.claim() : this.stock();
    if (!draft.bad) return op;
    // Something that no rule accepts, in a place that every operation of the script has.
    if ('quantity' in op) return { ...op, quantity: 0 };
    if ('lines' in op && draft.choice < 50) return { ...op, lines: [] };
    if ('id' in op) return { ...op, id: draft.choice % 2 ? '' : 'a b' };
    if ('member' in op) return { ...op, member: '\0' };
    if ('page' in op) return { page: 33 };
    if ('force' in op) return { ...op, force: 2 };
    return op;
  }

  private id(family: string): string {
    const { k, back, choice } = this.draft;
    if (choice > 96) return OLD[k % OLD.length]!;
    return `${family}${Math.max(this.generation - back, 0)}-${k}`;
  }

  /** Mostly a reservation of its own or a part of a claim; sometimes the id of the other kind. */
  private reservation(): { id: string; attempt: number } {
    const { family, attempt, choice, k } = this.draft;
    if (choice > 96) return { id: this.id(''), attempt: OLD[k % OLD.length] === 'lost' ? 2 : 0 };
    if (family < 58) return { id: this.id('r'), attempt: 0 };
    if (family < 95) return { id: this.id('p'), attempt };
    if (family < 97) return { id: this.id('c'), attempt: 0 };
    return family < 98 ? { id: this.id('r'), attempt } : { id: this.id('p'), attempt: 0 };
  }

  private lines(id: string): { item: string; quantity: number }[] {
    if (OLD.includes(id)) return [{ item: refOf(id === 'lost' ? 1 : 0), quantity: 1 }];
    const h = mix(`${id}/${this.draft.variant}`);
    const count = 1 + (h % 3);
    return Array.from({ length: count }, (_, i) => ({
      item: refOf((((h >>> 4) % 5) + i * (1 + ((h >>> 8) % 2))) % (h % 41 === 0 ? 7 : 6)),
      quantity: 1 + ((h >>> (10 + 2 * i)) % 3),
    })).filter((line, i, all) => all.findIndex((other) => other.item === line.item) === i);
  }

  private content(id: string) {
    const h = mix(`${id}/${this.draft.variant}/buyer`);
    return { fingerprint: OLD.includes(id) ? 77 : h, buyer: BUYERS[h % 12 === 0 ? 0 : 1 + (h % 4)]! };
  }

  private actor(buyer: string): string {
    return this.draft.choice % 3 === 0 ? 'desk' : buyer;
  }

  private room(): string {
    const { choice } = this.draft;
    return choice < 60 ? 'gate' : choice < 70 ? 'door' : '';
  }

  private stock(): object {
    const { script, draft } = this;
    const item = refOf(draft.item);
    switch (script) {
      case 'stock/reserve': {
        const { id, attempt } = this.reservation();
        const { fingerprint, buyer } = this.content(id);
        const asked = {
          id,
          attempt: attempt > 0 && draft.delta < 0 ? -attempt : attempt,
          fingerprint,
          buyer,
          hold: draft.hold,
          room: this.room(),
          actor: draft.choice % 2 === 0 && this.actor(buyer) === buyer ? '' : this.actor(buyer),
        };
        return { ...asked, lines: this.lines(id) };
      }
      case 'stock/confirm':
      case 'stock/release':
      case 'stock/expire':
      case 'stock/abort': {
        const named = this.reservation();
        return { ...named, actor: 'desk', lines: this.lines(named.id).map((line) => ({ item: line.item })) };
      }
      case 'stock/return': {
        const named = this.reservation();
        const lines = this.lines(named.id).map((line, i) => ({
          item: line.item,
          total: draft.choice < 30 ? line.quantity : (draft.quantity + i) % 4,
        }));
        return { ...named, actor: 'desk', lines };
      }
      case 'stock/extend': {
        const untilMs = this.now + [0, 300, 1_500, 60_000][draft.choice % 4]!;
        return { ...this.reservation(), hold: draft.hold, untilMs, actor: 'desk' };
      }
      case 'stock/deduct': {
        const id = this.id('m');
        const { fingerprint, buyer } = this.content(id);
        const asked = { id, fingerprint, item, quantity: draft.quantity, buyer };
        return { ...asked, room: this.room(), actor: this.actor(buyer) };
      }
      case 'stock/restock': {
        const id = this.id('m');
        const quantity = draft.choice < 3 && draft.item < 5 ? 1_000_000_000_000 : draft.quantity * 3;
        return { id, fingerprint: this.content(id).fingerprint, item, quantity, reason: 'delivery', actor: 'desk' };
      }
      case 'stock/adjust':
        return this.adjustment(item);
      case 'stock/configure':
        return this.settings(item);
      case 'stock/check':
        return { item };
      case 'stock/due':
        return { page: draft.choice < 50 ? 32 : draft.choice < 95 ? 1 + draft.k : 0 };
      case 'stock/settle': {
        const { members } = this.scene;
        const member = members[draft.family % Math.max(members.length, 1)] ?? this.id('r');
        return { member, later: draft.choice < 20 ? 200 : 0 };
      }
      default:
        return { id: draft.choice < 60 ? this.reservation().id : this.id('c') };
    }
  }

  private adjustment(item: string): object {
    const { choice, quantity } = this.draft;
    const id = this.id('m');
    const isCount = choice % 4 === 0 ? 1 : 0;
    const value = isCount ? 3 + (choice % 30) : choice < 3 ? 1_000_000_000_000 : choice < 60 ? quantity : -quantity;
    const fingerprint = this.content(id).fingerprint;
    return { id, fingerprint, item, isCount, value, reason: 'count', actor: 'desk' };
  }

  private settings(item: string): object {
    const { choice, item: which, quantity } = this.draft;
    const op = {
      item,
      buyerLimit: '',
      opens: '',
      closes: '',
      lowMark: '',
      holdSeconds: '',
      room: '',
      force: choice % 10 === 0 ? 1 : 0,
      detail: '{}',
      actor: 'desk',
    };
    const pick = (...values: readonly string[]): string => values[choice % values.length]!;
    const at = (ms: number): string => String(this.now + ms);
    if (which === 0) return { ...op, lowMark: pick('', '10', '-', '10', '4'), holdSeconds: pick('-', '', '1') };
    if (which === 1) return { ...op, buyerLimit: pick('4', '6', '3', '', '8', '-', '0', String(quantity + 3)) };
    if (which === 2)
      return {
        ...op,
        opens: pick(at(-50), '', '-', at(150), at(-5)),
        closes: pick('-', at(600), '-', at(-5), '', 'x'),
      };
    if (which === 3) return { ...op, room: pick('gate', '-', '', 'gate'), lowMark: pick('20', '5', '-') };
    return { ...op, lowMark: pick('8', '3', ''), holdSeconds: pick('2', '1', '', '-') };
  }

  private claim(): object {
    const { script, draft, scene } = this;
    const id = draft.family < 95 ? this.id('c') : this.id('r');
    const attempt = (scene.attempts.get(id) ?? 5) + draft.delta;
    switch (script) {
      case 'claims/open': {
        const { fingerprint, buyer } = this.content(id);
        return { id, fingerprint, buyer, lines: this.lines(id).map(({ item, quantity }) => ({ ref: item, quantity })) };
      }
      case 'claims/seal':
        return { id, attempt, deadline: this.now + [-10, 400, 1_500, 60_000][draft.choice % 4]! };
      case 'claims/abort':
        return { id, attempt };
      case 'claims/expire':
        return { id };
      case 'claims/extend':
        return { id, hold: draft.hold, actor: 'desk' };
      case 'claims/confirm':
        return { id, actor: 'desk', sold: draft.choice % 4 === 0 ? 1 : 0 };
      default:
        return { id, actor: 'desk' };
    }
  }
}

/** FNV-1a with a last stir: the same text always makes the same content. */
function mix(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

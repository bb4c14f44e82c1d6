/**
 * What Holdfast's documents promise, said once more: docs/protocol.md and the headers of the scripts, written apart from their
 * Lua. A rule decides on what is true and answers facts; facts make what is true next. Time comes from outside.
 */
import { type LoggedEvent } from '../support/scripts.js';
import { type Fact, Unfolding } from './facts.js';
import { type Decision, type Row, type Rule } from './rule.js';
import * as claims from './rules-claims.js';
import * as count from './rules-count.js';
import * as holds from './rules-holds.js';
import * as index from './rules-index.js';
import * as sale from './rules-sale.js';
import { type State } from './state.js';

const RULES = {
  'claims/abort': claims.abort,
  'claims/confirm': claims.confirm,
  'claims/expire': claims.expire,
  'claims/extend': claims.extend,
  'claims/open': claims.open,
  'claims/release': claims.release,
  'claims/return': claims.returned,
  'claims/seal': claims.seal,
  'stock/abort': holds.abort,
  'stock/adjust': count.adjust,
  'stock/check': count.check,
  'stock/configure': count.configure,
  'stock/confirm': holds.confirm,
  'stock/deduct': sale.deduct,
  'stock/due': index.due,
  'stock/expire': holds.expire,
  'stock/extend': holds.extend,
  'stock/find': index.find,
  'stock/release': holds.release,
  'stock/reserve': sale.reserve,
  'stock/restock': count.restock,
  'stock/return': holds.returned,
  'stock/settle': index.settle,
  'stock/touch': index.touch,
} as const;

export type ScriptName = keyof typeof RULES;
export const SCRIPT_NAMES = Object.keys(RULES) as ScriptName[];

export interface Expected {
  readonly rows: readonly Row[];
  readonly events: readonly Omit<LoggedEvent, 'seq'>[];
  /** Broken laws, one sentence each. */
  readonly broken: readonly string[];
}

export class Oracle {
  /** Units that came in or went out altogether since the beginning, and at it. */
  private readonly books = new Map<string, number>();
  private readonly heldUnits = new Map<string, number>();

  constructor(readonly state: State) {
    for (const [ref, item] of state.items) this.books.set(ref, item.available + item.reserved + item.sold);
    for (const hold of state.holds.values()) this.countHold(hold, 1);
  }

  /** One script call: operations one after the other, each on what the ones before made true. */
  call(name: ScriptName, ops: readonly object[], now: number): Expected {
    const rule = RULES[name] as Rule<object>;
    const unfolding = new Unfolding(this.state, now);
    const rows: Row[] = [];
    for (const op of ops) {
      const { row, facts = [] }: Decision = rule(this.state, op, now);
      rows.push(row);
      this.keepBooks(facts);
      unfolding.add(facts);
    }
    unfolding.end();
    return { rows, events: unfolding.events, broken: [...unfolding.touched].flatMap((ref) => this.broken(ref)) };
  }

  private keepBooks(facts: readonly Fact[]): void {
    for (const fact of facts) {
      if (fact.fact === 'hold') {
        const before = this.state.holds.get(fact.id);
        if (before) this.countHold(before, -1);
        if (fact.hold) this.countHold(fact.hold, 1);
      } else if (fact.fact === 'told' && (fact.kind === 'restocked' || fact.kind === 'adjusted'))
        this.books.set(fact.ref!, (this.books.get(fact.ref!) ?? 0) + fact.quantity!);
    }
  }

  private countHold(hold: { phase: string; lines: readonly { ref: string; quantity: number }[] }, sign: number): void {
    if (hold.phase !== 'held') return;
    for (const { ref, quantity } of hold.lines)
      this.heldUnits.set(ref, (this.heldUnits.get(ref) ?? 0) + sign * quantity);
  }

  /** Laws that hold for an item after every call. */
  private broken(ref: string): string[] {
    const { available, reserved, sold } = this.state.items.get(ref)!;
    const laws: [boolean, string][] = [
      [available >= 0 && reserved >= 0 && sold >= 0, 'a count is negative'],
      [available + reserved + sold === (this.books.get(ref) ?? 0), 'units came from nowhere or went there'],
      [reserved === (this.heldUnits.get(ref) ?? 0), 'reserved is not what the holds hold'],
    ];
    return laws.filter(([holds]) => !holds).map(([, law]) => `${ref}: ${law}`);
  }
}

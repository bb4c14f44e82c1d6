/** What can happen to a partition. Rules say which facts follow from an operation; this file alone makes them true. */
import { type EventName } from '../../engine/scripts/generated/events.js';
import { type LoggedEvent } from '../support/scripts.js';
import { type Claim, type Hold, type Item, NO_SETTINGS, type Settings, type State } from './state.js';

export type Fact =
  /** Units move between the counts of an item (all zero: the change is its settings); its version grows. */
  | {
      readonly fact: 'moved';
      readonly ref: string;
      readonly available?: number;
      readonly reserved?: number;
      readonly sold?: number;
    }
  | { readonly fact: 'configured'; readonly ref: string; readonly settings: Partial<Settings> }
  /** A buyer holds or has bought more (or fewer) units of a limited item. */
  | { readonly fact: 'counted'; readonly ref: string; readonly buyer: string; readonly by: number }
  | { readonly fact: 'hold'; readonly id: string; readonly hold: Hold | undefined }
  | { readonly fact: 'claim'; readonly id: string; readonly claim: Claim | undefined }
  /** A one-step change is remembered with the item's level after it. */
  | {
      readonly fact: 'remembered';
      readonly id: string;
      readonly ref: string;
      readonly kind: number;
      readonly fingerprint: number;
    }
  | { readonly fact: 'forgotten'; readonly field: string }
  /** Something must be looked at. */
  | { readonly fact: 'due'; readonly at: number; readonly name: string }
  | { readonly fact: 'undue'; readonly member: string }
  /** An event for the log, with the item's level as it is then. */
  | ({ readonly fact: 'told'; readonly kind: EventName } & Partial<Omit<LoggedEvent, 'kind' | 'seq'>>);

const NOTHING: Item = { available: 0, reserved: 0, sold: 0, version: 0, updatedAt: 0, settings: NO_SETTINGS };

/** One call: facts become true one after the other; the index of what is due is written when it ends. */
export class Unfolding {
  readonly events: Omit<LoggedEvent, 'seq'>[] = [];
  readonly touched = new Set<string>();
  private readonly dueNames = new Map<number, string[]>();

  constructor(
    private readonly state: State,
    private readonly now: number,
  ) {}

  add(facts: Iterable<Fact>): void {
    for (const fact of facts) this.one(fact);
  }

  /** Things due at the same moment share an entry. */
  end(): void {
    for (const [at, names] of this.dueNames) this.state.due.set(names.join(' '), at);
  }

  private one(fact: Fact): void {
    const { state, now } = this;
    switch (fact.fact) {
      case 'moved': {
        const item = state.items.get(fact.ref) ?? NOTHING;
        this.touched.add(fact.ref);
        state.items.set(fact.ref, {
          ...item,
          available: item.available + (fact.available ?? 0),
          reserved: item.reserved + (fact.reserved ?? 0),
          sold: item.sold + (fact.sold ?? 0),
          version: item.version + 1,
          updatedAt: now,
        });
        return;
      }
      case 'configured': {
        const item = state.items.get(fact.ref) ?? NOTHING;
        state.items.set(fact.ref, { ...item, settings: { ...item.settings, ...fact.settings } });
        return;
      }
      case 'counted':
        return this.count(fact.ref, fact.buyer, fact.by);
      case 'hold':
        return put(state.holds, fact.id, fact.hold);
      case 'claim':
        return put(state.claims, fact.id, fact.claim);
      case 'remembered': {
        const { available, reserved, sold, version } = state.items.get(fact.ref)!;
        const level = { available, reserved, sold, version };
        const { kind, fingerprint } = fact;
        state.remembered.set(`${fact.id}:${fact.ref}`, { kind, fingerprint, ...level, at: now });
        return;
      }
      case 'forgotten':
        state.remembered.delete(fact.field);
        return;
      case 'due':
        this.dueNames.set(fact.at, [...(this.dueNames.get(fact.at) ?? []), fact.name]);
        return;
      case 'undue':
        state.due.delete(fact.member);
        return;
      case 'told':
        return this.tell(fact);
    }
  }

  private count(ref: string, buyer: string, by: number): void {
    const units = this.state.buyers.get(ref) ?? new Map<string, number>();
    this.state.buyers.set(ref, units);
    const count = (units.get(buyer) ?? 0) + by;
    if (count > 0) units.set(buyer, count);
    else units.delete(buyer);
  }

  private tell({ fact: _, ...columns }: Extract<Fact, { fact: 'told' }>): void {
    const { available, reserved, sold, version } = columns.ref ? this.state.items.get(columns.ref)! : NOTHING;
    this.events.push({
      ref: '',
      id: '',
      quantity: 0,
      actor: '',
      detail: '',
      available,
      reserved,
      sold,
      version,
      deadline: 0,
      fingerprint: 0,
      attempt: 0,
      ...columns,
    });
  }
}

function put<T>(map: Map<string, T>, id: string, value: T | undefined): void {
  if (value === undefined) map.delete(id);
  else map.set(id, value);
}

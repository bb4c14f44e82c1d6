/** What the model knows of a partition: plain maps of records that never change, made anew by facts. */
import { type Cell, type World } from '../support/scripts.js';

export type ReservationPhase = 'held' | 'confirmed' | 'released' | 'expired' | 'returned' | 'pending';
/** Numbers of the phases in records and answers (docs/protocol.md). */
export const PHASES: readonly ReservationPhase[] = ['held', 'confirmed', 'released', 'expired', 'returned', 'pending'];
export const phaseNumber = (phase: ReservationPhase): number => PHASES.indexOf(phase) + 1;
const phaseOf = (number: Cell): ReservationPhase => PHASES[Number(number) - 1]!;

export interface Level {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
}
export interface Settings {
  readonly limit: number;
  readonly opens: number;
  readonly closes: number;
  readonly lowMark: number;
  readonly holdSeconds: number;
  readonly room: string;
}
export interface Item extends Level {
  readonly updatedAt: number;
  readonly settings: Settings;
}
export interface HoldLine {
  readonly ref: string;
  readonly quantity: number;
  readonly returned: number;
  readonly counted: boolean;
}
interface Reservation {
  readonly phase: ReservationPhase;
  readonly deadline: number;
  readonly fingerprint: number;
  readonly attempt: number;
  readonly buyer: string;
  readonly resolvedAt: number;
}
export interface Hold extends Reservation {
  readonly lines: readonly HoldLine[];
}
export interface Claim extends Reservation {
  readonly openedAt: number;
  readonly lines: readonly { readonly ref: string; readonly quantity: number }[];
}
/** The answer that a one-step change is given again. */
export interface Remembered extends Level {
  readonly kind: number;
  readonly fingerprint: number;
  readonly at: number;
}

export const NO_SETTINGS: Settings = { limit: 0, opens: 0, closes: 0, lowMark: 0, holdSeconds: 0, room: '' };
const LETTERS = { limit: 'l', opens: 'o', closes: 'c', lowMark: 'w', holdSeconds: 'h', room: 'm' } as const;

export class State {
  readonly items = new Map<string, Item>();
  /** ref → buyer → units */
  readonly buyers = new Map<string, Map<string, number>>();
  readonly holds = new Map<string, Hold>();
  readonly claims = new Map<string, Claim>();
  readonly remembered = new Map<string, Remembered>();
  /** member → time */
  readonly due = new Map<string, number>();

  bought(ref: string, buyer: string): number {
    return this.buyers.get(ref)?.get(buyer) ?? 0;
  }

  static of(world: World): State {
    const state = new State();
    for (const [ref, f] of Object.entries(world.stock)) {
      const number = (letter: string): number => Number(f[letter] ?? 0);
      state.items.set(ref, {
        available: number('a'),
        reserved: number('r'),
        sold: number('s'),
        version: number('v'),
        updatedAt: number('u'),
        settings: {
          limit: number('l'),
          opens: number('o'),
          closes: number('c'),
          lowMark: number('w'),
          holdSeconds: number('h'),
          room: String(f.m ?? ''),
        },
      });
    }
    for (const [ref, units] of Object.entries(world.buyers)) state.buyers.set(ref, new Map(Object.entries(units)));
    for (const [id, record] of Object.entries(world.holds)) state.holds.set(id, holdOf(record));
    for (const [id, record] of Object.entries(world.claims)) state.claims.set(id, claimOf(record));
    for (const [field, [kind, fingerprint, available, reserved, sold, version, at]] of Object.entries(world.ids))
      state.remembered.set(field, { kind, fingerprint, available, reserved, sold, version, at } as Remembered);
    for (const [member, time] of Object.entries(world.due)) state.due.set(member, time);
    return state;
  }

  /** In the form Redis' content is read in, but for `meta`. */
  toWorld(): Omit<World, 'meta'> {
    return {
      stock: mapped(this.items, (item) => ({
        a: item.available,
        r: item.reserved,
        s: item.sold,
        v: item.version,
        u: item.updatedAt,
        ...Object.fromEntries(
          Object.entries(LETTERS)
            .map(([name, letter]) => [letter, item.settings[name as keyof Settings]] as const)
            .filter(([, value]) => value !== 0 && value !== ''),
        ),
      })),
      buyers: Object.fromEntries(
        [...this.buyers].filter(([, units]) => units.size > 0).map(([ref, units]) => [ref, Object.fromEntries(units)]),
      ),
      holds: mapped(this.holds, holdRecord),
      claims: mapped(this.claims, claimRecord),
      ids: mapped(this.remembered, (r) => [r.kind, r.fingerprint, r.available, r.reserved, r.sold, r.version, r.at]),
      due: Object.fromEntries(this.due),
    };
  }
}

const mapped = <T, R>(map: ReadonlyMap<string, T>, change: (value: T) => R): Record<string, R> =>
  Object.fromEntries([...map].map(([key, value]) => [key, change(value)]));

const head = (r: Reservation): Cell[] => [
  phaseNumber(r.phase),
  r.deadline,
  r.fingerprint,
  r.attempt,
  r.buyer,
  r.resolvedAt,
];
export const holdRecord = (hold: Hold): Cell[] => [
  ...head(hold),
  ...hold.lines.flatMap((line) => [line.ref, line.quantity, line.returned, line.counted ? 1 : 0]),
];
export const claimRecord = (claim: Claim): Cell[] => [
  ...head(claim),
  claim.openedAt,
  ...claim.lines.flatMap((line) => [line.ref, line.quantity]),
];

function headOf(record: readonly Cell[]): Reservation {
  const [phase, deadline, fingerprint, attempt, buyer, resolvedAt] = record;
  return { phase: phaseOf(phase!), deadline, fingerprint, attempt, buyer, resolvedAt } as Reservation;
}
function holdOf(record: readonly Cell[]): Hold {
  const lines: HoldLine[] = [];
  for (let i = 6; i < record.length; i += 4) {
    const [ref, quantity, returned, counted] = record.slice(i, i + 4) as [string, number, number, number];
    lines.push({ ref, quantity, returned, counted: counted === 1 });
  }
  return { ...headOf(record), lines };
}
function claimOf(record: readonly Cell[]): Claim {
  const lines: { ref: string; quantity: number }[] = [];
  for (let i = 7; i < record.length; i += 2)
    lines.push({ ref: record[i] as string, quantity: record[i + 1] as number });
  return { ...headOf(record), openedAt: record[6] as number, lines };
}

/** Point 7: what the replayed events say is what lies in Redis and in Postgres, record by record. */
import type { Contents, FinalHold, FinalLine, FinalState } from '../final/types.js';
import { stateName } from './kinds.js';
import type { Checking } from './context.js';
import { asFinal, type Model, present } from './model.js';
import type { Report } from './violation.js';

export function checkFinals({ model, final, report }: Checking): void {
  for (const [store, contents] of [
    ['Redis', final.redis],
    ['Postgres', final.postgres],
  ] as const)
    compareStore(store, contents, model, report);
  compareBuyers(model, final, report);
}

function compareStore(store: string, contents: Contents, model: Model, report: Report): void {
  compare(model.items, contents.items, levelText, (ref, expected, got) =>
    report({ point: 7, what: `${ref}: ${expected} by the ledger, ${got} in ${store}`, refs: [ref] }),
  );
  const idOf = (key: string) => key.slice(key.indexOf('/') + 1);
  const holds = [...model.holds].flatMap(([key, lives]) => {
    const life = present(lives);
    return life ? [[key, asFinal(life)] as const] : [];
  });
  compare(new Map(holds), contents.holds, holdText, (key, expected, got) =>
    report({ point: 7, what: `hold ${key}: ${expected} by the ledger, ${got} in ${store}`, ids: [idOf(key)] }),
  );
  const claims = [...model.claims].flatMap(([key, lives]) => {
    const life = present(lives);
    if (!life) return [];
    const lines = life.lines.map((line) => ({ ...line, returned: 0, counted: false }));
    return [[key, { ...life, lines } satisfies FinalHold] as const];
  });
  compare(new Map(claims), contents.claims, holdText, (key, expected, got) =>
    report({ point: 7, what: `claim ${key}: ${expected} by the ledger, ${got} in ${store}`, ids: [idOf(key)] }),
  );
  compare(model.ids, contents.ids, levelText, (key, expected, got) =>
    report({ point: 7, what: `id ${key}: ${expected} by the ledger, ${got} in ${store}`, ids: [key.split(':')[0]!] }),
  );
}

function compareBuyers(model: Model, final: FinalState, report: Report): void {
  for (const ref of new Set([...model.buyers.keys(), ...final.redis.buyers.keys()]))
    compare(
      model.buyers.get(ref) ?? new Map<string, number>(),
      final.redis.buyers.get(ref) ?? new Map<string, number>(),
      String,
      (buyer, expected, got) =>
        report({
          point: 7,
          what: `${buyer} has ${expected} units of ${ref} by the ledger, ${got} in Redis`,
          refs: [ref],
        }),
    );
}

function compare<T>(
  expected: ReadonlyMap<string, T>,
  got: ReadonlyMap<string, T>,
  text: (value: T) => string,
  differs: (key: string, expected: string, got: string) => void,
): void {
  const show = (value: T | undefined): string => (value === undefined ? 'nothing' : text(value));
  for (const key of new Set([...expected.keys(), ...got.keys()])) {
    const [e, g] = [show(expected.get(key)), show(got.get(key))];
    if (e !== g) differs(key, e, g);
  }
}

function levelText(level: {
  available: number;
  reserved: number;
  sold: number;
  version: number;
  buyerLimit?: number;
  kind?: number;
}): string {
  const { available, reserved, sold, version, buyerLimit, kind } = level;
  const more = [
    ...(buyerLimit === undefined ? [] : [`limit ${buyerLimit}`]),
    ...(kind === undefined ? [] : [`kind ${kind}`]),
  ];
  return [`${available} + ${reserved} + ${sold}, version ${version}`, ...more].join(', ');
}

function holdText({ state, deadline, attempt, buyer, lines }: FinalHold): string {
  const line = ({ ref, quantity, returned, counted }: FinalLine) =>
    `${quantity - returned}/${quantity}${counted ? 'L' : ''} ${ref}`;
  const all = [...lines].sort((a, b) => (a.ref < b.ref ? -1 : 1)).map(line);
  return `${stateName(state)} until ${deadline} (attempt ${attempt}) for ${buyer}: ${all.join(', ')}`;
}

/** Rules of the due index and of reading: due, settle, find, touch. */
import { limits } from '../../engine/scripts/generated/limits.js';
import { type StockDueArgs } from '../../engine/scripts/generated/stock-due.js';
import { type StockFindOp } from '../../engine/scripts/generated/stock-find.js';
import { type StockSettleOp } from '../../engine/scripts/generated/stock-settle.js';
import { type StockTouchOp } from '../../engine/scripts/generated/stock-touch.js';
import { type Fact } from './facts.js';
import { answer, INVALID, isCount, isId, isText, type Rule } from './rule.js';
import { type Claim, claimRecord, type Hold, holdRecord, type State } from './state.js';

const inBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export const due: Rule<StockDueArgs> = (state, { page }, now) => {
  if (!isCount(page, 1, limits.due_page)) return INVALID;
  const members = [...state.due]
    .filter(([, at]) => at <= now)
    .sort(([m, a], [n, b]) => a - b || inBytes(m, n))
    .slice(0, page)
    .map(([member]) => member);
  return answer('ok', { members: members.join('\n') });
};

type Look = { readonly forget: true } | { readonly again: number };

/** What is to be done about a record behind an entry whose time has come. */
function look({ phase, deadline, resolvedAt }: Hold | Claim, now: number): Look {
  if (phase === 'held' || phase === 'pending') return { again: deadline > now ? deadline : now + 1_000 };
  const bought = phase === 'confirmed' || phase === 'returned';
  const end = resolvedAt + (bought ? limits.return_window_seconds : limits.retention_seconds) * 1_000;
  return end > now ? { again: end } : { forget: true };
}

function settleName(state: State, name: string, now: number): Fact[] {
  if (name.startsWith('i:'))
    return state.remembered.has(name.slice(2)) ? [{ fact: 'forgotten', field: name.slice(2) }] : [];
  const id = name.startsWith('c:') ? name.slice(2) : name;
  const claim = name.startsWith('c:');
  const record = claim ? state.claims.get(id) : state.holds.get(id);
  if (!record) return [];
  const found = look(record, now);
  if ('again' in found) return [{ fact: 'due', at: found.again, name }];
  return [claim ? { fact: 'claim', id, claim: undefined } : { fact: 'hold', id, hold: undefined }];
}

/** An entry may name a record twice; it is forgotten once. */
function onceForgotten(facts: readonly Fact[]): Fact[] {
  const gone = new Set<string>();
  return facts.filter((fact) => {
    if (fact.fact === 'due') return true;
    const key = JSON.stringify(fact);
    return !gone.has(key) && gone.add(key);
  });
}

export const settle: Rule<StockSettleOp> = (state, { member, later }, now) => {
  if (!isText(member) || !isCount(later)) return INVALID;
  const at = state.due.get(member);
  if (at === undefined || at > now) return answer('ok', { forgotten: 0 });
  const facts: Fact[] =
    later > 0
      ? [{ fact: 'due', at: now + later, name: member }]
      : onceForgotten(member.split(' ').flatMap((name) => settleName(state, name, now)));
  const forgotten = facts.filter(({ fact }) => fact !== 'due').length;
  return { row: { status: 'ok', forgotten }, facts: [{ fact: 'undue', member }, ...facts] };
};

export const find: Rule<StockFindOp> = (state, { id }) => {
  if (!isId(id)) return INVALID;
  const hold = state.holds.get(id);
  const claim = state.claims.get(id);
  if (!hold && !claim) return answer('reservation_not_found');
  return answer('ok', {
    hold: hold ? holdRecord(hold).join('|') : '',
    claim: claim ? claimRecord(claim).join('|') : '',
  });
};

export const touch: Rule<StockTouchOp> = (_state, { id }) => (isId(id) ? answer('ok') : INVALID);

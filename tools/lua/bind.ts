/** Expands `-- @bind …` comments into locals, each on its own line so that line numbers stay. */
import type { Diagnostics } from './diagnostics.js';
import type { Field, Header } from './header.js';
import { place, type SourceLine } from './source.js';

export type BindName = 'keys' | 'args' | 'each' | 'line';
const BIND = /^(\s*)--\s*@bind\b\s*(.*?)\s*$/;

/** Rewrites the bind lines of the body in place and tells which bindings are there. */
export function expandBinds(header: Header, body: SourceLine[], diagnostics: Diagnostics): Set<BindName> {
  const seen = new Set<BindName>();
  for (const line of body) {
    const match = BIND.exec(line.text);
    if (!match) continue;
    const at = place(line, match[1]!.length + 1);
    const name = match[2] as BindName;
    if (!(name in BINDERS)) {
      diagnostics.error(at, `@bind needs one of keys, args, each, line, not '${name}'`);
      continue;
    }
    if (seen.has(name) && (name === 'keys' || name === 'args')) diagnostics.error(at, `@bind ${name} stands twice`);
    if (name === 'each' && !header.each.length) diagnostics.error(at, '@bind each, but the header has no @each');
    if (name === 'line' && !header.line.length) diagnostics.error(at, '@bind line, but the header has no @line');
    if ((name === 'each' || name === 'line') && !seen.has('args'))
      diagnostics.error(at, `@bind ${name} must come after @bind args`);
    seen.add(name);
    line.text = match[1]! + BINDERS[name](header);
    line.bound = true;
  }
  return seen;
}

const BINDERS: Readonly<Record<BindName, (header: Header) => string>> = {
  keys: bindKeys,
  args: bindArgs,
  each: bindEach,
  line: ({ line }) => (line.length ? bindFields(line) : ''),
};

function bindKeys({ keys, items }: Header): string {
  const parts: string[] = [];
  if (keys.length)
    parts.push(
      `local ${keys.map((k) => `${k.name}_key`).join(', ')} = ${keys.map((_, i) => `KEYS[${i + 1}]`).join(', ')}`,
    );
  if (items.length) {
    const divisor = items.length === 1 ? `#KEYS - ${keys.length}` : `(#KEYS - ${keys.length}) / ${items.length}`;
    parts.push(`local ITEMS = ${divisor}`);
    const base = (i: number): string =>
      i === 0 ? `${keys.length}` : `${keys.length} + ${i === 1 ? '' : `${i} * `}ITEMS`;
    parts.push(`local ${items.map((k) => `${k.name}_base`).join(', ')} = ${items.map((_, i) => base(i)).join(', ')}`);
  }
  return parts.join('; ');
}

function bindArgs({ args, each }: Header): string {
  const parts: string[] = [];
  if (args.length)
    parts.push(
      `local ${args.map((a) => a.name).join(', ')} = ${args.map((a, i) => check(a, `ARGV[${i + 1}]`)).join(', ')}`,
    );
  if (each.length) parts.push(`local OPS = to_int(ARGV[${args.length + 1}])`, `local at = ${args.length + 1}`);
  return parts.join('; ');
}

function bindEach({ each, line }: Header): string {
  if (!each.length) return '';
  return bindFields(each) + (line.length ? '; local LINES = to_int(ARGV[at + 1]); at = at + 1' : '');
}

function bindFields(fields: readonly Field[]): string {
  const values = fields.map((f, i) => check(f, `ARGV[at + ${i + 1}]`)).join(', ');
  return `local ${fields.map((f) => f.name).join(', ')} = ${values}; at = at + ${fields.length}`;
}

function check(field: Field, value: string): string {
  return field.type === 'item' ? `to_item(${value}, ITEMS)` : `to_${field.type}(${value})`;
}

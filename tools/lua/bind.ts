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
      line.text = '';
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

function bindArgs({ items, args, each, line }: Header): string {
  const parts: string[] = [];
  if (args.length)
    parts.push(
      `local ${args.map((a) => a.name).join(', ')} = ${args.map((a, i) => check(a, `ARGV[${i + 1}]`)).join(', ')}`,
    );
  if (each.length)
    parts.push(
      `local OPS = to_int(ARGV[${args.length + 1}])`,
      frameCheck(args.length + 1, items.length > 0, each.length, line.length),
      `local at = ${args.length + 1}`,
    );
  return parts.join('; ');
}

/**
 * Counts come from outside and drive loops: one of 2^53 would hang the node, one that is off by one would read the fields of the
 * next operation as its own. So the whole frame has to fit before any field is looked at.
 */
function frameCheck(counts: number, items: boolean, each: number, line: number): string {
  const refuse = "return redis.error_reply('HOLDFASTARG counts do not fit the keys and arguments')";
  const own = items ? ' or ITEMS % 1 ~= 0 or ITEMS > LIMIT.max_items' : '';
  const exact = line ? '' : ` or #ARGV ~= ${counts} + OPS * ${each}`;
  const all = `if not OPS or OPS < 1 or OPS > LIMIT.max_ops${own}${exact} then ${refuse} end`;
  if (!line) return all;
  const skip = `last = lines and last + ${each + 1} + lines * ${line}`;
  return (
    `${all}; local last = ${counts}; for _ = 1, OPS do local lines = to_int(ARGV[last + ${each + 1}]); ${skip}; ` +
    `if not last or last > #ARGV then ${refuse} end end; if last ~= #ARGV then ${refuse} end`
  );
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

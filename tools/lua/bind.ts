/** Expands `-- @bind …` comments into locals, each on its own line so that line numbers stay. */
import type { Diagnostics } from './diagnostics.js';
import type { Field, Header } from './header.js';
import { place, type SourceLine } from './source.js';

export type BindName = 'keys' | 'args' | 'each' | 'line';
const BIND = /^(\s*)--\s*@bind\b\s*(\S*)\s*(.*?)\s*$/;

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
    const chosen = choose(name, match[3]!, header, (problem) => diagnostics.error(at, problem));
    if (seen.has(name) && (name === 'keys' || name === 'args')) diagnostics.error(at, `@bind ${name} stands twice`);
    if (name === 'each' && !header.each.length) diagnostics.error(at, '@bind each, but the header has no @each');
    if (name === 'line' && !header.line.length) diagnostics.error(at, '@bind line, but the header has no @line');
    if ((name === 'each' || name === 'line') && !seen.has('args'))
      diagnostics.error(at, `@bind ${name} must come after @bind args`);
    seen.add(name);
    line.text = match[1]! + BINDERS[name](chosen);
    line.bound = true;
  }
  return seen;
}

/** The header with those fields only that the line names; all of them where it names none. */
function choose(name: BindName, names: string, header: Header, complain: (problem: string) => void): Header {
  if (names === '') return header;
  if (name !== 'each') {
    complain(`@bind ${name} takes no names`);
    return header;
  }
  const wanted = new Set(names.split(/\s+/));
  const each = header.each.filter((field) => wanted.delete(field.name));
  const line = wanted.delete('lines') ? header.line : [];
  for (const unknown of wanted) complain(`@bind each ${unknown}: the header has no @each ${unknown}`);
  return { ...header, each, line };
}

const BINDERS: Readonly<Record<BindName, (header: Header) => string>> = {
  keys: bindKeys,
  args: bindArgs,
  each: bindEach,
  line: bindLine,
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
  if (each.length) parts.push(bindColumns(args.length + 1, items.length > 0, each, line));
  return parts.join('; ');
}

const REFUSE = "return redis.error_reply('HOLDFASTARG counts do not fit the keys and arguments')";
/** In the shape of a call: one cell for each operation (or line). The other is `=`: one cell for all of them. */
const OWN = '+'.charCodeAt(0);

/**
 * Operations travel by columns. A column whose values are all the same is one cell, parsed once: in a batch most are. `shape` has a
 * character for each column; the first column is never shared, so that a wrong count of operations always shows.
 *
 * Counts come from outside and drive loops: one of 2^53 would hang the node, one that is off by one would read the fields of the
 * next operation as its own. So the whole frame has to fit before any field is looked at.
 */
function bindColumns(counts: number, items: boolean, each: readonly Field[], line: readonly Field[]): string {
  const columns = each.length + (line.length ? 1 + line.length : 0);
  const own = items ? ' or ITEMS % 1 ~= 0 or ITEMS > LIMIT.max_items' : '';
  const extra = items ? ', ITEMS' : '';
  const parts = [
    `local ARGS, OPS, shape = ARGV, to_int(ARGV[${counts}]), ARGV[${counts + 1}]`,
    `if not OPS or OPS < 1 or OPS > LIMIT.max_ops${own} or not shape or #shape ~= ${columns}` +
      ` or not string.find(shape, '^%+[=+]*$') then ${REFUSE} end`,
    `local last = ${counts + 1}`,
    // Where a column begins, how far it moves with each operation, and its value where all have the same.
    `local function column(n, count, parse) if string.byte(shape, n) == ${OWN} then local from = last; last = last + count; ` +
      `return from, 1 end; last = last + 1; return last, 0, parse(ARGS[last]${extra}) end`,
  ];
  each.forEach((field, i) => parts.push(bindColumn(field.name, i + 1, 'OPS', parserOf(field))));
  if (line.length) {
    parts.push(
      bindColumn('LINES', each.length + 1, 'OPS', 'to_int'),
      'local line_count, line_at = 0, 0',
      'for n = 1, OPS do local lines = LINES_all or to_int(ARGS[LINES_at + n * LINES_step]); ' +
        'line_count = lines and line_count + lines or 1 / 0 end',
      `if line_count > LIMIT.max_ops * LIMIT.max_lines then ${REFUSE} end`,
    );
    line.forEach((field, i) =>
      parts.push(bindColumn(`line_${field.name}`, each.length + 2 + i, 'line_count', parserOf(field))),
    );
  }
  parts.push(`if last ~= #ARGS then ${REFUSE} end`);
  return parts.join('; ');
}

function bindColumn(name: string, position: number, count: string, parse: string): string {
  return `local ${name}_at, ${name}_step, ${name}_all = column(${position}, ${count}, ${parse})`;
}

/** Inside `for n = 1, OPS do`. */
function bindEach({ each, line }: Header): string {
  const names = each.map((f) => f.name);
  const values = each.map((f) => cell(f, f.name, 'n'));
  if (line.length) {
    names.push('LINES');
    values.push('LINES_all or to_int(ARGS[LINES_at + n * LINES_step])');
  }
  return names.length ? `local ${names.join(', ')} = ${values.join(', ')}` : '';
}

/** Inside a loop over the lines of the operation, once for each. */
function bindLine({ line }: Header): string {
  const values = line.map((f) => cell(f, `line_${f.name}`, 'line_at'));
  return line.length ? `line_at = line_at + 1; local ${line.map((f) => f.name).join(', ')} = ${values.join(', ')}` : '';
}

function cell(field: Field, column: string, n: string): string {
  return `${column}_all or ${check(field, `ARGS[${column}_at + ${n} * ${column}_step]`)}`;
}

function parserOf(field: Field): string {
  return `to_${field.type}`;
}

function check(field: Field, value: string): string {
  return field.type === 'item' ? `to_item(${value}, ITEMS)` : `to_${field.type}(${value})`;
}

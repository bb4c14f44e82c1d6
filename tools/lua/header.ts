/** Parses the `---` header of a script: what goes in, what comes out, what it writes. */
import type { Diagnostics, Position } from './diagnostics.js';
import type { Registry } from './registry.js';
import { place, type SourceLine } from './source.js';

export const FIELD_TYPES = ['int', 'sint', 'hash', 'id', 'idopt', 'text', 'record', 'item'] as const;
export type FieldType = (typeof FIELD_TYPES)[number];
export const COLUMN_TYPES = ['int', 'ms', 'text'] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

export interface Named {
  readonly name: string;
  readonly at: Position;
}
export interface KeyKind extends Named {
  description: string;
}
export interface Field extends Named {
  readonly type: FieldType;
  description: string;
}
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}
export interface Answer extends Named {
  readonly columns: readonly Column[];
}

export interface Header {
  /** Paragraphs of prose. */
  readonly prose: string[];
  readonly flags: string[];
  readonly flagsAt: Position;
  readonly keys: KeyKind[];
  readonly items: Named[];
  readonly args: Field[];
  readonly each: Field[];
  readonly line: Field[];
  readonly statuses: Answer[];
  readonly events: Named[];
  /** Cells of a reply row: the status and its columns. */
  readonly width: number;
}

type Section = 'key' | 'items' | 'arg' | 'each' | 'line' | 'status' | 'event' | 'flags';
const SECTIONS: readonly Section[] = ['flags', 'key', 'items', 'arg', 'each', 'line', 'status', 'event'];
/** Flags that keep a script inside the rules of the house: never `no-cluster` or `allow-cross-slot-keys`. */
const FLAGS = new Set(['no-writes', 'allow-oom', 'allow-stale']);
const NAME = /^[a-z][a-z0-9_]*$/;
/** Columns are seen by TypeScript only, so either style will do there. */
const COLUMN = /^[a-z][A-Za-z0-9_]*$/;
// Names the binding uses itself, and the words of Lua 5.1.
const RESERVED = new Set(
  (
    'and break do else elseif end false for function if in local nil not or repeat return then true until while ' +
    'ARGS OPS LINES shape last column line_count line_at n redis cjson cmsgpack struct bit string table math tonumber tostring type pairs ipairs next select unpack error assert pcall'
  ).split(' '),
);

interface Word {
  readonly text: string;
  readonly at: Position;
}

export function parseHeader(file: string, lines: SourceLine[], registry: Registry, diagnostics: Diagnostics): Header {
  const parser = new HeaderParser(file, registry, diagnostics);
  for (const line of lines) parser.read(line);
  return parser.finish();
}

class HeaderParser {
  private readonly prose: string[] = [];
  private paragraph = false;
  private tagged = false;
  private last: { description: string } | undefined;
  private readonly flags: string[] = [];
  private flagsAt: Position;
  private readonly keys: KeyKind[] = [];
  private readonly items: Named[] = [];
  private readonly fields = { arg: [] as Field[], each: [] as Field[], line: [] as Field[] };
  private readonly statuses: Answer[] = [];
  private readonly events: Named[] = [];
  private readonly start: Position;

  constructor(
    file: string,
    private readonly registry: Registry,
    private readonly diagnostics: Diagnostics,
  ) {
    this.start = { file, line: 1, column: 1 };
    this.flagsAt = this.start;
  }

  read(line: SourceLine): void {
    const content = line.text.slice(3);
    const words = split(line);
    const tag = words[0];
    if (!tag) {
      this.paragraph = false;
      return;
    }
    if (!tag.text.startsWith('@')) {
      this.text(content.trim(), tag.at);
      return;
    }
    this.tagged = true;
    this.last = undefined;
    const section = tag.text.slice(1) as Section;
    if (!SECTIONS.includes(section)) {
      this.diagnostics.error(tag.at, `unknown tag ${tag.text}; there are ${SECTIONS.map((s) => '@' + s).join(' ')}`);
      return;
    }
    this.section(section, tag, words.slice(1));
  }

  private text(text: string, at: Position): void {
    if (this.tagged) {
      if (this.last) this.last.description += ` ${text}`;
      else this.diagnostics.error(at, 'text after a tag that takes none; prose goes before the first tag');
    } else if (this.paragraph) {
      this.prose[this.prose.length - 1] += ` ${text}`;
    } else {
      this.prose.push(text);
      this.paragraph = true;
    }
  }

  private section(section: Section, tag: Word, words: Word[]): void {
    if (words.length === 0) {
      this.diagnostics.error(tag.at, `${tag.text} needs a name`);
      return;
    }
    if (section === 'flags') this.readFlags(tag, words);
    else if (section === 'key') this.readKey(words);
    else if (section === 'items') this.readItems(tag, words);
    else if (section === 'status') this.readStatus(words);
    else if (section === 'event') this.readEvents(words);
    else this.readField(section, words);
  }

  private readFlags(tag: Word, words: Word[]): void {
    for (const word of words)
      for (const flag of word.text.split(',').filter(Boolean)) {
        if (!FLAGS.has(flag)) this.diagnostics.error(word.at, `flag '${flag}' is not one of ${[...FLAGS].join(', ')}`);
        else this.flags.push(flag);
      }
    this.flagsAt = tag.at;
  }

  private readKey(words: Word[]): void {
    const [name, ...rest] = words as [Word, ...Word[]];
    if (!this.newName(name, [...this.keys, ...this.items])) return;
    const key = { name: name.text, at: name.at, description: join(rest) };
    if (!rest.length) this.diagnostics.error(name.at, `key '${name.text}' needs a description`);
    this.keys.push(key);
    this.last = key;
  }

  private readItems(tag: Word, words: Word[]): void {
    if (this.items.length) this.diagnostics.error(tag.at, '@items may stand only once');
    for (const word of words)
      if (this.newName(word, [...this.keys, ...this.items])) this.items.push({ name: word.text, at: word.at });
  }

  private readField(section: 'arg' | 'each' | 'line', words: Word[]): void {
    const [name, type, ...rest] = words as [Word, Word | undefined, ...Word[]];
    const taken = [...this.fields.arg, ...this.fields.each, ...this.fields.line];
    if (!this.newName(name, taken)) return;
    if (!type || !(FIELD_TYPES as readonly string[]).includes(type.text)) {
      this.diagnostics.error(type?.at ?? name.at, `'${name.text}' needs a type: ${FIELD_TYPES.join(', ')}`);
      return;
    }
    if (!rest.length) this.diagnostics.error(name.at, `'${name.text}' needs a description`);
    const field: Field = { name: name.text, at: name.at, type: type.text as FieldType, description: join(rest) };
    this.fields[section].push(field);
    this.last = field;
  }

  private readStatus(words: Word[]): void {
    const [name, ...rest] = words as [Word, ...Word[]];
    if (!this.registry.statuses.has(name.text))
      this.diagnostics.error(name.at, `status '${name.text}' is not in lua/registry/statuses.json`);
    if (this.statuses.some((s) => s.name === name.text))
      this.diagnostics.error(name.at, `status '${name.text}' is declared twice`);
    const columns: Column[] = [];
    for (const word of rest) {
      const [column, type = ''] = word.text.split(':') as [string, string?];
      if (!COLUMN.test(column) || !(COLUMN_TYPES as readonly string[]).includes(type))
        this.diagnostics.error(
          word.at,
          `column '${word.text}' must be name:type, type one of ${COLUMN_TYPES.join(', ')}`,
        );
      else if (column === 'status' || columns.some((c) => c.name === column))
        this.diagnostics.error(word.at, `column name '${column}' is taken`);
      else columns.push({ name: column, type: type as ColumnType });
    }
    this.statuses.push({ name: name.text, at: name.at, columns });
  }

  private readEvents(words: Word[]): void {
    for (const word of words) {
      if (!this.registry.events.has(word.text))
        this.diagnostics.error(word.at, `event '${word.text}' is not in lua/registry/events.json`);
      if (this.events.some((e) => e.name === word.text))
        this.diagnostics.error(word.at, `event '${word.text}' is declared twice`);
      this.events.push({ name: word.text, at: word.at });
    }
  }

  private newName(word: Word, taken: readonly Named[]): boolean {
    const problem = !NAME.test(word.text)
      ? `'${word.text}' is not a name (lower case, digits, underscores)`
      : RESERVED.has(word.text)
        ? `'${word.text}' is a reserved name`
        : taken.some((t) => t.name === word.text)
          ? `'${word.text}' is declared twice`
          : undefined;
    if (problem) this.diagnostics.error(word.at, problem);
    return !problem;
  }

  finish(): Header {
    const { arg: args, each, line } = this.fields;
    if (!this.prose.length) this.diagnostics.error(this.start, 'the header must begin with what the script is for');
    if (!this.statuses.length) this.diagnostics.error(this.start, 'the header declares no @status');
    if (line.length && !each.length)
      this.diagnostics.error(line[0]!.at, '@line needs @each: lines belong to operations');
    for (const field of [...args, ...each, ...line])
      if (field.type === 'item' && !this.items.length)
        this.diagnostics.error(field.at, `'${field.name}' is an item, but there is no @items`);
    for (const field of args)
      if (field.type === 'item')
        this.diagnostics.error(field.at, 'an @arg cannot be an item; items belong to operations');
    const clash = each.find((f) => f.name === 'lines' && line.length);
    if (clash) this.diagnostics.error(clash.at, `'lines' is the name of the list of @line fields`);
    const width = 1 + Math.max(0, ...this.statuses.map((s) => s.columns.length));
    const { prose, flags, flagsAt, keys, items, events } = this;
    // However they are written down, they are shown in order of precedence.
    const precedence = (s: Answer): number => this.registry.statuses.get(s.name)?.number ?? Infinity;
    const statuses = [...this.statuses].sort((a, b) => precedence(a) - precedence(b));
    return { prose, flags, flagsAt, keys, items, args, each, line, statuses, events, width };
  }
}

function join(words: readonly Word[]): string {
  return words.map((w) => w.text).join(' ');
}

function split(line: SourceLine): Word[] {
  return [...line.text.slice(3).matchAll(/\S+/g)].map((m) => ({ text: m[0], at: place(line, m.index + 4) }));
}

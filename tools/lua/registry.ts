/** Reads and checks `lua/registry/*.json`, the numbers and names that Lua, TypeScript, HTTP and docs share. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostics, Position } from './diagnostics.js';

export interface Status {
  readonly number: number;
  readonly name: string;
  readonly kind: 'ok' | 'final' | 'retryable';
  readonly http: number;
  /** Stable code of the HTTP error; several statuses may share one. Default: the name. */
  readonly code: string;
  readonly title: string;
  readonly description: string;
}

export interface EventKind {
  readonly number: number;
  readonly name: string;
  readonly description: string;
}

export interface Limit {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly description: string;
}

export interface Registry {
  readonly statuses: ReadonlyMap<string, Status>;
  readonly events: ReadonlyMap<string, EventKind>;
  readonly limits: ReadonlyMap<string, Limit>;
}

type Fields = Record<string, unknown>;
interface Entry {
  readonly fields: Fields;
  readonly at: Position;
}

const NAME = /^[a-z][a-z0-9_]*$/;
const KINDS = new Set(['ok', 'final', 'retryable']);

export function readRegistry(root: string, diagnostics: Diagnostics): Registry {
  return {
    statuses: readStatuses(root, diagnostics),
    events: readEvents(root, diagnostics),
    limits: readLimits(root, diagnostics),
  };
}

function readStatuses(root: string, diagnostics: Diagnostics): Map<string, Status> {
  const statuses = new Map<string, Status>();
  for (const { fields, at } of numbered(root, 'lua/registry/statuses.json', diagnostics)) {
    const { kind, http, title } = fields;
    if (!KINDS.has(kind as string)) diagnostics.error(at, `kind must be ok, final or retryable`);
    if (!Number.isInteger(http) || (http as number) < 200 || (http as number) > 599)
      diagnostics.error(at, 'http must be a status code from 200 to 599');
    if (typeof title !== 'string' || title === '') diagnostics.error(at, 'title is missing');
    const { code } = fields;
    if (code !== undefined && (typeof code !== 'string' || !NAME.test(code)))
      diagnostics.error(at, 'code must be lower case with underscores');
    const name = fields['name'] as string;
    statuses.set(name, { ...(fields as unknown as Status), code: typeof code === 'string' ? code : name });
  }
  return statuses;
}

function readEvents(root: string, diagnostics: Diagnostics): Map<string, EventKind> {
  const entries = numbered(root, 'lua/registry/events.json', diagnostics);
  return new Map(entries.map(({ fields }) => [fields['name'] as string, fields as unknown as EventKind]));
}

/** Entries with unique names and numbers, the numbers ascending: order in the file is precedence. */
function numbered(root: string, file: string, diagnostics: Diagnostics): Entry[] {
  const kept: Entry[] = [];
  const names = new Set<unknown>();
  const numbers = new Map<number, string>();
  let last = -1;
  for (const entry of readArray(root, file, diagnostics)) {
    const { number, name, description } = entry.fields;
    if (typeof name !== 'string' || !NAME.test(name)) {
      diagnostics.error(entry.at, 'name must be lower case with underscores');
      continue;
    }
    if (names.has(name)) diagnostics.error(entry.at, `'${name}' is listed twice`);
    if (typeof number !== 'number' || !Number.isInteger(number) || number < 0) {
      diagnostics.error(entry.at, `number of '${name}' must be an integer from 0`);
      continue;
    }
    if (numbers.has(number))
      diagnostics.error(entry.at, `number ${number} already belongs to '${numbers.get(number)}'`);
    else if (number < last)
      diagnostics.error(entry.at, `'${name}' (${number}) stands after ${last}: order is precedence`);
    if (typeof description !== 'string' || description === '')
      diagnostics.error(entry.at, `description of '${name}' is missing`);
    names.add(name);
    numbers.set(number, name);
    last = Math.max(last, number);
    kept.push(entry);
  }
  return kept;
}

function readLimits(root: string, diagnostics: Diagnostics): Map<string, Limit> {
  const file = 'lua/registry/limits.json';
  const limits = new Map<string, Limit>();
  const parsed = readJson(root, file, diagnostics);
  if (!parsed) return limits;
  if (typeof parsed.value !== 'object' || parsed.value === null || Array.isArray(parsed.value)) {
    diagnostics.error({ file, line: 1, column: 1 }, 'must be an object');
    return limits;
  }
  for (const [name, raw] of Object.entries(parsed.value as Record<string, Fields>)) {
    const at = positionAt(file, parsed.text, parsed.text.indexOf(`"${name}"`));
    if (!NAME.test(name)) diagnostics.error(at, 'name must be lower case with underscores');
    if (!Number.isSafeInteger(raw['value'])) diagnostics.error(at, `value of '${name}' must be an integer`);
    for (const field of ['unit', 'description'])
      if (typeof raw[field] !== 'string' || raw[field] === '')
        diagnostics.error(at, `${field} of '${name}' is missing`);
    limits.set(name, { ...(raw as unknown as Omit<Limit, 'name'>), name });
  }
  return limits;
}

function readArray(root: string, file: string, diagnostics: Diagnostics): Entry[] {
  const parsed = readJson(root, file, diagnostics);
  if (!parsed) return [];
  if (!Array.isArray(parsed.value)) {
    diagnostics.error({ file, line: 1, column: 1 }, 'must be an array');
    return [];
  }
  const starts = objectStarts(parsed.text);
  return parsed.value.map((fields: unknown, i) => ({
    fields: (fields ?? {}) as Fields,
    at: positionAt(file, parsed.text, starts[i] ?? 0),
  }));
}

function readJson(root: string, file: string, diagnostics: Diagnostics): { text: string; value: unknown } | undefined {
  let text = '';
  try {
    text = readFileSync(join(root, file), 'utf8');
    return { text, value: JSON.parse(text) };
  } catch (error) {
    const message = (error as Error).message;
    const offset = /position (\d+)/.exec(message);
    diagnostics.error(
      positionAt(file, text, offset ? Number(offset[1]) : text.length),
      message.replace(/^ENOENT: /, ''),
    );
    return undefined;
  }
}

/** Offsets of the objects directly inside the outermost array. */
function objectStarts(text: string): number[] {
  const starts: number[] = [];
  let depth = 0;
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (match[0] === '{' && depth === 1) starts.push(match.index);
    if (match[0] === '{' || match[0] === '[') depth++;
    else if (match[0] === '}' || match[0] === ']') depth--;
  }
  return starts;
}

function positionAt(file: string, text: string, offset: number): Position {
  const before = text.slice(0, Math.max(0, offset)).split('\n');
  return { file, line: before.length, column: before.at(-1)!.length + 1 };
}

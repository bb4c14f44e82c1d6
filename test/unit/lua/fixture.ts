/** A small project in a temp folder, so that each test says what is wrong and where it must be reported. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../../../stack/project.js';
import { formatDiagnostic } from '../../../tools/lua/diagnostics.js';
import { build, type Built } from '../../../tools/lua/pipeline.js';

/** Path → content; undefined leaves a file of the fixture out. */
export type Files = Readonly<Record<string, string | undefined>>;

/** The parsing functions that bindings call are the project's own. */
const PARSE = readFileSync(join(projectRoot(), 'lua/include/parse.lua'), 'utf8');

const status = (number: number, name: string, kind: string): object => ({
  number,
  name,
  kind,
  http: 200,
  title: name,
  description: name,
});

export const BASE: Files = {
  'lua/registry/statuses.json': JSON.stringify(
    [status(0, 'ok', 'ok'), status(10, 'fenced', 'retryable'), status(20, 'refused', 'final')],
    null,
    2,
  ),
  'lua/registry/events.json': JSON.stringify([
    { number: 1, name: 'made', description: 'Made.' },
    { number: 2, name: 'gone', description: 'Gone.' },
  ]),
  'lua/registry/limits.json': JSON.stringify({
    text_bytes: { value: 200, unit: 'bytes', description: 'text' },
    detail_bytes: { value: 300, unit: 'bytes', description: 'detail' },
    record_bytes: { value: 400, unit: 'bytes', description: 'record' },
    max_lines: { value: 100, unit: 'lines', description: 'lines' },
    max_ops: { value: 128, unit: 'operations', description: 'operations' },
    max_items: { value: 256, unit: 'items', description: 'items' },
  }),
  'lua/include/parse.lua': PARSE,
};

/** A script that is in order: header lines 1 to 5, body from line 6. */
export const GOOD = `--- Count things.
--- @key meta what is counted
--- @arg step int how much
--- @status ok total:int
--- @event made
-- @bind keys
-- @include parse
-- @bind args
local total = redis.call('HINCRBY', meta_key, EVENT.made, step)
return { 0, 0, 0, 0, STATUS.ok, total }
`;

export function project(files: Files): string {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-lua-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries({ ...BASE, ...files }))
    if (content !== undefined) write(root, path, content);
  return root;
}

export function write(root: string, path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

export function buildOf(files: Files): Built {
  return build(project(files));
}

/** All findings as they are printed, but for the fixture's own include that a script may well leave out. */
export function findingsOf(built: Built): string[] {
  return built.diagnostics
    .list()
    .filter((d) => d.severity === 'error' || d.file !== 'lua/include/parse.lua')
    .map(formatDiagnostic);
}

/** All findings that are errors, as they are printed. */
export function errorsOf(files: Files): string[] {
  return buildOf(files)
    .diagnostics.list()
    .filter((d) => d.severity === 'error')
    .map(formatDiagnostic);
}

/** Errors of one script under `lua/box/op.lua`. */
export function errorsIn(script: string, files: Files = {}): string[] {
  return errorsOf({ ...files, 'lua/box/op.lua': script });
}

/** A script whose header is fixed and whose body is given: body line 1 is line 5 of the file. */
export function withBody(body: string, flags = ''): string {
  return `--- Try a body.\n--- @key meta a key\n--- @status ok\n---${flags && ` @flags ${flags}`}\n${body}`;
}

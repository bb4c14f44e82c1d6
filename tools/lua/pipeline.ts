/** The whole build: finds the scripts, compiles them, and tells what should stand in which file. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compileScript, type CompiledScript } from './compile.js';
import { Diagnostics, type Position } from './diagnostics.js';
import { camel, emitScript, fileName, GENERATED } from './emit.js';
import { emitEvents, emitIndex, emitLimits, emitStatuses } from './emit-registry.js';
import { emitPage } from './page.js';
import { readRegistry } from './registry.js';

export const PAGE = 'docs/scripts.md';
/** Folders of lua/ that hold no operations. */
const NOT_DOMAINS = new Set(['include', 'registry']);

export interface Built {
  readonly diagnostics: Diagnostics;
  readonly scripts: readonly CompiledScript[];
  /** Path relative to the root → content. With errors in scripts only the registries, with errors there nothing. */
  readonly files: ReadonlyMap<string, string>;
}

export function build(root: string): Built {
  const diagnostics = new Diagnostics();
  const registry = readRegistry(root, diagnostics);
  const registered = !diagnostics.errors;
  const scripts: CompiledScript[] = [];
  for (const file of findScripts(root, diagnostics)) {
    const script = compileScript(root, file, registry, diagnostics);
    if (script) scripts.push(script);
  }
  checkShared(root, scripts, diagnostics);
  const files = new Map<string, string>();
  if (registered) {
    files.set(`${GENERATED}/statuses.ts`, emitStatuses(registry));
    files.set(`${GENERATED}/events.ts`, emitEvents(registry));
    files.set(`${GENERATED}/limits.ts`, emitLimits(registry));
  }
  if (!diagnostics.errors) {
    for (const script of scripts) files.set(`${GENERATED}/${fileName(script.name)}.ts`, emitScript(script, registry));
    files.set(`${GENERATED}/index.ts`, emitIndex(scripts));
    files.set(PAGE, emitPage(scripts, registry));
  }
  return { diagnostics, scripts, files };
}

function findScripts(root: string, diagnostics: Diagnostics): string[] {
  const found: string[] = [];
  const names = new Map<string, string>();
  const lua = join(root, 'lua');
  if (!existsSync(lua)) {
    diagnostics.error({ file: 'lua', line: 1, column: 1 }, 'no such folder');
    return found;
  }
  for (const domain of readdirSync(lua, { withFileTypes: true })) {
    if (!domain.isDirectory() || NOT_DOMAINS.has(domain.name)) continue;
    for (const entry of readdirSync(join(lua, domain.name))) {
      if (!entry.endsWith('.lua')) continue;
      const file = `lua/${domain.name}/${entry}`;
      const at = { file, line: 1, column: 1 };
      const name = camel(`${domain.name}/${entry.slice(0, -4)}`);
      if (!/^[a-z][A-Za-z0-9]*$/.test(name)) diagnostics.error(at, 'file and folder names are lower case, with _ or -');
      else if (names.has(name)) diagnostics.error(at, `makes the same name, ${name}, as ${names.get(name)}`);
      else found.push(file);
      names.set(name, file);
    }
  }
  return found.sort();
}

/** Includes that no script takes, and names in them that no script reaches. */
function checkShared(root: string, scripts: readonly CompiledScript[], diagnostics: Diagnostics): void {
  const folder = join(root, 'lua/include');
  const taken = new Set(scripts.flatMap((s) => s.includes));
  if (existsSync(folder))
    for (const entry of readdirSync(folder))
      if (entry.endsWith('.lua') && !taken.has(entry.slice(0, -4)))
        diagnostics.warning({ file: `lua/include/${entry}`, line: 1, column: 1 }, 'no script includes this file');
  const names = new Map<string, { at: Position; name: string; reached: boolean }>();
  for (const { shared } of scripts)
    for (const entry of shared) {
      const key = `${entry.at.file}:${entry.at.line}:${entry.at.column}`;
      const known = names.get(key);
      if (!known || entry.reached) names.set(key, entry);
    }
  for (const { at, name, reached } of names.values())
    if (!reached) diagnostics.warning(at, `'${name}' is used by no script`);
}

/** What `build.ts` and `lint.ts` share: options, findings on stderr, exit codes. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatDiagnostic } from './diagnostics.js';
import { GENERATED } from './emit.js';
import { build, PAGE, type Built } from './pipeline.js';

const HERE = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const EXITS = `Findings go to stderr as file:line:column: message.
Exit code: 0 all is well, 1 there are findings, 2 wrong usage.`;
export const BUILD_HELP = `npm run lua -- [--check] [--root DIR]

Builds the Lua scripts: puts includes in place, checks headers and bodies, and writes
${GENERATED}/*.ts and ${PAGE}. Files that would not change are not touched.

  --check     write nothing; fail when ${PAGE} is out of date, and on warnings
  --root DIR  the folder that holds lua/ (default: this project)
  --help      this text

${EXITS}`;
export const LINT_HELP = `tsx tools/lua/lint.ts [--root DIR]

Checks the Lua scripts and registries without writing anything. Warnings count.

  --root DIR  the folder that holds lua/ (default: this project)
  --help      this text

${EXITS}`;

export interface Options {
  readonly root: string;
  readonly check: boolean;
}

/** Undefined: nothing is left to do, the exit code is set. */
export function readOptions(help: string): Options | undefined {
  try {
    const { values } = parseArgs({
      options: { check: { type: 'boolean' }, root: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      process.stdout.write(help + '\n');
      return undefined;
    }
    return { root: values.root ? resolve(values.root) : HERE, check: values.check ?? false };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}\n`);
    process.exitCode = 2;
    return undefined;
  }
}

/** Prints findings; true when the run may go on. */
export function report({ diagnostics }: Built, strict: boolean): boolean {
  const list = diagnostics.list();
  for (const diagnostic of list) process.stderr.write(formatDiagnostic(diagnostic) + '\n');
  const bad = strict ? list.length : diagnostics.errors;
  if (bad) {
    process.stderr.write(`${diagnostics.errors} errors, ${diagnostics.warnings} warnings\n`);
    process.exitCode = 1;
  }
  return bad === 0;
}

/** True when docs/scripts.md says what the sources say. */
export function pageIsFresh(root: string, { files }: Built): boolean {
  const path = join(root, PAGE);
  const fresh = existsSync(path) && readFileSync(path, 'utf8') === files.get(PAGE);
  if (!fresh) {
    process.stderr.write(`${PAGE}:1:1: out of date; run npm run lua and commit it\n`);
    process.exitCode = 1;
  }
  return fresh;
}

/**
 * Writes what changed; after a build without errors removes bindings of scripts that are gone. Returns the paths touched.
 * A broken script leaves the bindings of the last good build, while names and numbers of the registries are renewed.
 */
export function writeFiles(root: string, { files }: Built, good: boolean): string[] {
  const touched: string[] = [];
  for (const [file, content] of files) {
    const path = join(root, file);
    if (existsSync(path) && readFileSync(path, 'utf8') === content) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    touched.push(file);
  }
  for (const entry of good ? readdirSync(join(root, GENERATED)) : []) {
    const file = `${GENERATED}/${entry}`;
    if (!entry.endsWith('.ts') || files.has(file)) continue;
    rmSync(join(root, file));
    touched.push(file);
  }
  return touched;
}

export { build };

/** The files of the project: what is committed, or would be. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { projectRoot } from '../../stack/project.js';

export const root = projectRoot();

const NOT_OURS = new Set(['node_modules', '.git', 'dist', 'coverage', '.tap', '.holdfast', 'generated']);

/** Paths relative to the project, sorted. Without git (a copy of the tree) everything but what is made by tools. */
export const files: readonly string[] = listed().sort();

function listed(): string[] {
  try {
    const options = { cwd: root, encoding: 'utf8' as const, stdio: 'pipe' as const };
    const top = execFileSync('git', ['rev-parse', '--show-toplevel'], options).trim();
    if (statSync(top).ino === statSync(root).ino)
      return execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], options)
        .split('\n')
        .filter((path) => path !== '' && exists(path));
  } catch {
    // No git here.
  }
  return walk(root);
}

function walk(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return [];
    const path = join(dir, entry.name);
    return entry.isDirectory() ? walk(path) : [relative(root, path)];
  });
}

export function exists(path: string): boolean {
  try {
    return statSync(join(root, path)).isFile();
  } catch {
    return false;
  }
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

const CODE = /\.(ts|js|mjs|lua|sql)$|^holdfast$|^\.ci\/run$/;
export const code = files.filter((path) => CODE.test(path));
/** The rooms of the product; tests and tools look at them from outside. */
export const product = code.filter((path) => /^(engine|wire|server|workers|stack|cli|client|lua)\//.test(path));

/** Lines that match. */
export function grep(paths: readonly string[], pattern: RegExp): string[] {
  const hits: string[] = [];
  for (const path of paths)
    for (const [index, line] of read(path).split('\n').entries())
      if (pattern.test(line)) hits.push(`${path}:${index + 1}: ${line.trim().slice(0, 120)}`);
  return hits;
}

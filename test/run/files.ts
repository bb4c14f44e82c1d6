import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface TestFile {
  path: string;
  /** `test/stack/ports.test.ts`: the source, whatever form of it runs. */
  name: string;
  /** It needs the machine for itself (loads it, or measures): run when no other file runs. */
  alone: boolean;
}

/** A file says `@alone` in a comment within its first lines. */
const ALONE = /^\s*(\/\/|\/?\*+)\s*@alone\b/m;
const HEAD_CHARACTERS = 2_000;

/** All test files in the form that this module itself has (source or compiled), sorted; `filter`: any of the words in the name. */
export function findTestFiles(filter: readonly string[]): TestFile[] {
  const root = fileURLToPath(new URL('../', import.meta.url));
  const suffix = import.meta.url.endsWith('.ts') ? '.test.ts' : '.test.js';
  return walk(root)
    .filter((path) => path.endsWith(suffix))
    .map((path) => ({
      path,
      name: `test/${relative(root, path).replace(/\.js$/, '.ts')}`,
      alone: ALONE.test(readFileSync(path, 'utf8').slice(0, HEAD_CHARACTERS)),
    }))
    .filter(({ name }) => filter.length === 0 || filter.some((word) => name.includes(word)))
    .sort((a, b) => a.name.localeCompare(b.name));
}

function walk(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

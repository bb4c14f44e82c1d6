import { existsSync, readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { scripts } from '../../engine/scripts/generated/index.js';

const COVERED = ['stock/', 'claims/'];
/** Compiled or not, the tables lie beside this file. */
const SUFFIX = import.meta.url.endsWith('.ts') ? '.test.ts' : '.test.js';
const here = (file: string) => new URL(file, import.meta.url);

void t.test('every script of stock and claims has its table, and every table its script', async (t) => {
  const names = scripts.map(({ name }) => name).filter((name) => COVERED.some((domain) => name.startsWith(domain)));
  const files = names.map((name) => name.replace('/', '-') + SUFFIX);
  for (const [i, file] of files.entries()) {
    if (!t.ok(existsSync(here(file)), `${names[i]} has ${file}`)) continue;
    const binding = names[i]!.replace(/[/_-](.)/g, (_, letter: string) => letter.toUpperCase());
    t.match(
      readFileSync(here(file), 'utf8'),
      new RegExp(`script: ${binding}\\b`),
      `${file} runs the table of ${binding}`,
    );
  }
  const tables = readdirSync(here('.')).filter((file) => /^(stock|claims)-/.test(file) && file.endsWith(SUFFIX));
  t.strictSame(tables.sort(), files.sort(), 'no table without a script');
});

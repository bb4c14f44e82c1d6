/**
 * Breaks a compiled program in one place, by exact text. No switch for it exists in the program itself, and a text that is no
 * longer there fails loudly: the mutant has to follow the code.
 */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../../../stack/project.js';

export interface Edit {
  /** `lua/stock/deduct` (as it stands in the script, `*` for all scripts), `sql/0013` (`*` for all migrations), or a module such as `workers/drain/persist`. */
  readonly in: string;
  /** Stands there at least once, and is replaced wherever it does. */
  readonly from: string;
  readonly to: string;
}

/** Cuts the edits into the program folder `dir` (as `layProgram` makes it). */
export async function patch(dir: string, edits: readonly Edit[]): Promise<void> {
  for (const edit of edits) {
    if (edit.in.startsWith('lua/')) await patchScripts(dir, edit);
    else if (edit.in.startsWith('sql/')) patchSql(dir, edit);
    else replaceIn(join(dir, 'dist', `${edit.in}.js`), edit.from, edit.to, edit.in);
  }
}

function replaceIn(file: string, from: string, to: string, name: string): void {
  const text = readFileSync(file, 'utf8');
  if (!text.includes(from)) throw new Error(`${name} has no ${JSON.stringify(from)}: the mutant has to follow it`);
  writeFileSync(
    file,
    text.replaceAll(from, () => to),
  );
}

async function patchScripts(dir: string, { in: name, from, to }: Edit): Promise<void> {
  const folder = join(dir, 'dist', 'engine', 'scripts', 'generated');
  const quoted = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
  const script = name.slice('lua/'.length);
  const files =
    script === '*' ? readdirSync(folder).filter((file) => file.endsWith('.js')) : [`${script.replace('/', '-')}.js`];
  let hits = 0;
  for (const file of files) {
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    if (!text.includes(quoted(from))) continue;
    hits++;
    writeFileSync(
      path,
      text.replaceAll(quoted(from), () => quoted(to)),
    );
    await rehash(path);
  }
  if (hits === 0) throw new Error(`${name} has no ${JSON.stringify(from)}: the mutant has to follow it`);
}

/** Scripts are called by the hash of their source. */
async function rehash(path: string): Promise<void> {
  const module = (await import(`${pathToFileURL(path).href}?at=${Date.now()}`)) as Record<string, unknown>;
  const found = Object.values(module).find(
    (one): one is { source: string; sha1: string } =>
      typeof (one as { source?: unknown } | undefined)?.source === 'string',
  );
  if (!found) throw new Error(`${path} exports no script`);
  const sha1 = createHash('sha1').update(found.source).digest('hex');
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll(found.sha1, sha1));
}

/** Migrations are read from beside the compiled workers where they are there, else from the project. */
function patchSql(dir: string, { in: name, from, to }: Edit): void {
  const folder = join(dir, 'dist', 'workers', 'sql');
  if (!existsSync(folder)) cpSync(join(projectRoot(), 'workers', 'sql'), folder, { recursive: true });
  const number = name.slice('sql/'.length);
  const files = readdirSync(folder).filter((one) => number === '*' || one.startsWith(`${number}.`));
  // A later migration may replace what an earlier one made: where all are meant, those that have it are enough.
  const having = files.filter((file) => number !== '*' || readFileSync(join(folder, file), 'utf8').includes(from));
  if (having.length === 0) throw new Error(`${name} has no ${JSON.stringify(from)}: the mutant has to follow it`);
  for (const file of having) replaceIn(join(folder, file), from, to, name);
}

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

/** Cuts the edits into the program folder `dir` (as `layProgram` makes it). Throws when a text is not there. */
export async function patch(dir: string, edits: readonly Edit[]): Promise<void> {
  const sql = join(dir, 'dist', 'workers', 'sql');
  // Migrations are read from beside the compiled workers where they are there, else from the project.
  if (edits.some((edit) => edit.in.startsWith('sql/')) && !existsSync(sql))
    cpSync(MIGRATIONS, sql, { recursive: true });
  for (const edit of edits) {
    for (const file of filesOf(dir, edit)) {
      const { from, to } = textsOf(edit);
      writeFileSync(
        file,
        readFileSync(file, 'utf8').replaceAll(from, () => to),
      );
      if (edit.in.startsWith('lua/')) await rehash(file);
    }
  }
}

/** Throws when an edit is not at home in the program any more: the mutant has to follow it. Changes nothing. */
export function fits(dir: string, edits: readonly Edit[]): void {
  for (const edit of edits) filesOf(dir, edit);
}

const MIGRATIONS = join(projectRoot(), 'workers', 'sql');

/** The files that the edit changes, at least one. */
function filesOf(dir: string, edit: Edit): string[] {
  const { from } = textsOf(edit);
  const having = candidates(dir, edit.in).filter((file) => readFileSync(file, 'utf8').includes(from));
  if (having.length === 0)
    throw new Error(`${edit.in} has no ${JSON.stringify(edit.from)}: the mutant has to follow it`);
  return having;
}

function candidates(dir: string, name: string): string[] {
  const [kind, rest] = [name.slice(0, 4), name.slice(4)];
  const all = (folder: string, like: (file: string) => boolean): string[] =>
    readdirSync(folder)
      .filter((file) => like(file))
      .map((file) => join(folder, file));
  if (kind === 'lua/') {
    const folder = join(dir, 'dist', 'engine', 'scripts', 'generated');
    return all(folder, (file) => (rest === '*' ? file.endsWith('.js') : file === `${rest.replace('/', '-')}.js`));
  }
  if (kind === 'sql/') {
    const own = join(dir, 'dist', 'workers', 'sql');
    // A later migration may replace what an earlier one made: where all are meant, those that have it are enough.
    return all(existsSync(own) ? own : MIGRATIONS, (file) => rest === '*' || file.startsWith(`${rest}.`));
  }
  return [join(dir, 'dist', `${name}.js`)];
}

/** As they stand in the files: scripts are quoted there. */
function textsOf({ in: name, from, to }: Edit): { from: string; to: string } {
  if (!name.startsWith('lua/')) return { from, to };
  const quoted = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
  return { from: quoted(from), to: quoted(to) };
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

/** The compiled servers and workers of a run: a copy of their own, so that mutants can be cut into it and edits do not reach a run. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../../stack/project.js';

const ROOMS = ['wire', 'engine', 'server', 'workers'];
const COMPILE_MS = 300_000;

/**
 * Lays out `dir` as the project is laid out (everything that is not compiled is a link), with `dist` compiled now, or copied from
 * where this module itself was compiled to. Returns `dir`.
 */
export async function layProgram(dir: string): Promise<string> {
  const root = projectRoot();
  mkdirSync(dir, { recursive: true });
  for (const entry of readdirSync(root)) {
    if (entry.startsWith('.') || entry === 'dist' || existsSync(join(dir, entry))) continue;
    symlinkSync(join(root, entry), join(dir, entry));
  }
  const from = import.meta.url.endsWith('.ts') ? await compile(root, join(dir, 'compiled')) : join(root, 'dist');
  for (const room of ROOMS) cpSync(join(from, room), join(dir, 'dist', room), { recursive: true });
  return dir;
}

/** Into a folder of the run's own: runs may start at the same time. */
async function compile(root: string, to: string): Promise<string> {
  mkdirSync(to, { recursive: true });
  const config = join(to, 'tsconfig.json');
  const outDir = join(to, 'dist');
  const compilerOptions = {
    rootDir: root,
    outDir,
    incremental: false,
    typeRoots: [join(root, 'node_modules', '@types')],
  };
  const settings = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions,
    include: ROOMS.map((room) => join(root, room)),
  };
  writeFileSync(config, JSON.stringify(settings));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  try {
    await promisify(execFile)(process.execPath, [tsc, '-p', config], { cwd: root, timeout: COMPILE_MS });
  } catch (error) {
    const { stdout = '', message } = error as { stdout?: string; message: string };
    throw new Error(`The servers and workers do not compile:\n${stdout.trim() || message}`);
  }
  return outDir;
}

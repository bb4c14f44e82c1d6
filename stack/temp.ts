import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRunning, type ProcessIdentity } from './identity.js';
import { sweep } from './processes.js';

const PREFIX = 'holdfast-test-';
const OWNER = 'owner.json';
const DEPTH = 4;

/** Says whose temp folder this is, so that a later run can remove it if that process was killed. */
export function claimTempDir(dir: string, owner: ProcessIdentity): void {
  writeFileSync(join(dir, OWNER), JSON.stringify(owner));
}

/** Leaves a temp folder to whoever wants to look at it: no later run removes it. */
export function keepTempDir(dir: string): void {
  rmSync(join(dir, OWNER), { force: true });
}

/** Whose temp folder it is; undefined where it is not known, or the folder is another user's. */
export function ownerOf(dir: string): ProcessIdentity | undefined {
  try {
    if (statSync(dir).uid !== process.getuid?.()) return undefined;
    return JSON.parse(readFileSync(join(dir, OWNER), 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}

/**
 * Ends the processes and removes the folders that earlier test runs left behind because they were killed. Folders whose owner
 * runs, and folders without an owner file, are not touched.
 */
export async function sweepTempDirs(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const dir = join(tmpdir(), name);
    const owner = ownerOf(dir);
    if (!owner || isRunning(owner)) continue;
    for (const runDir of findRunDirs(dir, DEPTH)) await sweep(runDir);
    rmSync(dir, { recursive: true, force: true });
  }
}

function findRunDirs(dir: string, depth: number): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const path = join(dir, entry.name);
    if (entry.name === 'run') found.push(path);
    else if (depth > 0) found.push(...findRunDirs(path, depth - 1));
  }
  return found;
}

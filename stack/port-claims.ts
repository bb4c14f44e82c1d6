/**
 * Which ports the processes of this user have been given, so that they stay theirs while nothing listens on them: a node that was
 * killed and is started again must find its port free, however many stacks and test runs look for ports meanwhile.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identify, isRunning, type ProcessIdentity } from './identity.js';

interface Claims {
  readonly owner: ProcessIdentity;
  readonly ports: readonly number[];
}

const own = new Set<number>();
let removes = false;

const uid = (): number => process.getuid?.() ?? 0;

/**
 * Claims a port until this process ends; false where a running process has claimed it. Of two that claim one at the same moment
 * none may get it, but never both: each writes its claim before it reads those of the others.
 */
export function claimPort(port: number): boolean {
  const dir = join(tmpdir(), `holdfast-ports-${uid()}`);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  // Somebody else's folder says nothing about our ports.
  if (statSync(dir).uid !== uid()) return true;
  const owner = identify(process.pid)!;
  const file = join(dir, `${owner.pid}-${owner.stamp.replace(/\W/g, '-')}.json`);
  own.add(port);
  save(file, owner);
  if (!claimedByOthers(dir, file).has(port)) return true;
  own.delete(port);
  save(file, owner);
  return false;
}

function save(file: string, owner: ProcessIdentity): void {
  // Readers see all of it or what was there before.
  writeFileSync(`${file}.new`, JSON.stringify({ owner, ports: [...own] } satisfies Claims), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  if (removes) return;
  removes = true;
  process.once('exit', () => rmSync(file, { force: true }));
}

function claimedByOthers(dir: string, mine: string): Set<number> {
  const claimed = new Set<number>();
  for (const name of readdirSync(dir).filter((entry) => entry.endsWith('.json'))) {
    const file = join(dir, name);
    if (file === mine) continue;
    let claims: Claims;
    try {
      claims = JSON.parse(readFileSync(file, 'utf8')) as Claims;
    } catch {
      // It was removed in between.
      continue;
    }
    if (isRunning(claims.owner)) for (const port of claims.ports) claimed.add(port);
    else rmSync(file, { force: true });
  }
  return claimed;
}

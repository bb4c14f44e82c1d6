import { readdirSync, readFileSync } from 'node:fs';
import { endProcess, identify, type ProcessIdentity } from '../../stack/identity.js';

export interface Leak extends ProcessIdentity {
  command: string;
}

/** Every process of a test file carries this in its environment, its children's children too. */
export const MARKER = 'HOLDFAST_TEST_FILE_ID';

/** The processes that carry the marker of this test file. Only Linux shows environments; elsewhere nothing is found. */
export function markedProcesses(id: string): Leak[] {
  if (process.platform !== 'linux') return [];
  const found: Leak[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (!readFileSync(`/proc/${entry}/environ`, 'latin1').split('\0').includes(`${MARKER}=${id}`)) continue;
      const command = readFileSync(`/proc/${entry}/cmdline`, 'latin1').split('\0').join(' ').trim();
      const identity = identify(Number(entry));
      if (identity) found.push({ ...identity, command });
    } catch {
      // It ended while we looked, or belongs to someone else.
    }
  }
  return found;
}

const GRACE_MS = 3_000;

/** Processes that are still there a moment after the end of their test file; they are ended and reported. */
export async function collectLeaks(id: string): Promise<Leak[]> {
  const until = Date.now() + GRACE_MS;
  let left = markedProcesses(id);
  while (left.length > 0 && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    left = markedProcesses(id);
  }
  // Postgres frees its shared memory on SIGQUIT; everything else goes at once.
  for (const leak of left) await endProcess(leak, leak.command.includes('postgres') ? 'SIGQUIT' : 'SIGKILL', 2_000);
  return left;
}

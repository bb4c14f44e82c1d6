import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * A process named so that it cannot be mistaken for another one that was given the same number later: the number together with
 * a stamp of when it was started (on Linux: boot id and start time in clock ticks).
 */
export interface ProcessIdentity {
  pid: number;
  stamp: string;
}

let bootId: string | undefined;

/** The stamp of a running process; undefined when there is none with this number (a zombie counts as gone). */
export function stampOf(pid: number): string | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (process.platform !== 'linux') return stampByPs(pid);
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command stands in brackets and may itself contain blanks and brackets: count the fields after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${bootId}:${fields[19]}`;
  } catch {
    return undefined;
  }
}

function stampByPs(pid: number): string | undefined {
  try {
    const out = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
    const [state, ...started] = out.split(/\s+/);
    return !state || state.startsWith('Z') ? undefined : started.join(' ');
  } catch {
    return undefined;
  }
}

export function identify(pid: number): ProcessIdentity | undefined {
  const stamp = stampOf(pid);
  return stamp === undefined ? undefined : { pid, stamp };
}

/** True while exactly this process runs; a recycled number is not it. */
export function isRunning(who: ProcessIdentity | undefined): boolean {
  return who !== undefined && stampOf(who.pid) === who.stamp;
}

/** Sends a signal to exactly this process; false when it is gone. */
export function signal(who: ProcessIdentity, sig: NodeJS.Signals): boolean {
  if (!isRunning(who)) return false;
  try {
    process.kill(who.pid, sig);
    return true;
  } catch {
    return false;
  }
}

/** Waits until the process is gone; false when it is still there after `timeoutMs`. */
export async function waitGone(who: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    if (!isRunning(who)) return true;
    if (Date.now() >= until) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Ends exactly this process: `sig` first, SIGKILL after `graceMs`. Resolves when it is gone. */
export async function endProcess(
  who: ProcessIdentity,
  sig: NodeJS.Signals = 'SIGTERM',
  graceMs = 10_000,
): Promise<void> {
  if (!signal(who, sig)) return;
  if (await waitGone(who, graceMs)) return;
  signal(who, 'SIGKILL');
  if (!(await waitGone(who, 5_000))) throw new Error(`Process ${who.pid} does not end, not even by SIGKILL.`);
}

/** CPU time by part of the system, from /proc: what a process and all its descendants have used. Linux only. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Cost } from './types.js';

const available = existsSync('/proc/self/stat');
let ticks: number | undefined;

function ticksPerSecond(): number {
  ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) || 100;
  return ticks;
}

interface Stat {
  readonly parent: number;
  /** User and system time in ticks. */
  readonly own: number;
  /** The same of its children that have ended. */
  readonly ended: number;
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may hold anything; the fields begin behind it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [user, system, endedUser, endedSystem] = fields.slice(11, 15).map(Number) as [number, number, number, number];
    return { parent: Number(fields[1]), own: user + system, ended: endedUser + endedSystem };
  } catch {
    return undefined;
  }
}

/** Processes by part, e.g. `{ redis: [pid, …], server: [pid] }`. */
export type Parts = Readonly<Record<string, readonly number[]>>;

/** Seconds of CPU each part has used so far, with `bench` (this process) and `generator` (its children that ended). Without /proc: nothing. */
export function cpuSeconds(parts: Parts): Record<string, number> {
  if (!available) return {};
  const stats = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readStat(Number(name)) : undefined;
    if (stat) stats.set(Number(name), stat);
  }
  const children = new Map<number, number[]>();
  for (const [pid, { parent }] of stats) children.set(parent, [...(children.get(parent) ?? []), pid]);
  const used = (pid: number): number => {
    const { own, ended } = stats.get(pid) ?? { own: 0, ended: 0 };
    return own + ended + (children.get(pid) ?? []).reduce((sum, child) => sum + used(child), 0);
  };
  const seconds: Record<string, number> = {};
  for (const [part, pids] of Object.entries(parts))
    seconds[part] = pids.reduce((sum, pid) => sum + used(pid), 0) / ticksPerSecond();
  // Servers are children of this process and parts of their own; generators are children that end when they are done.
  const { user, system } = process.cpuUsage();
  seconds.bench = (user + system) / 1e6;
  seconds.generator = (stats.get(process.pid)?.ended ?? 0) / ticksPerSecond();
  return seconds;
}

/** Machine-wide: seconds in which processors were not idle. */
function machineBusy(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1_000;
}

/** Starts to account; the returned function ends it and divides by the operations done meanwhile. */
export function accounting(parts: Parts): (what: string, operations: number) => Cost {
  const before = cpuSeconds(parts);
  const busyBefore = machineBusy();
  const startedAt = performance.now();
  return (what, operations) => {
    const after = cpuSeconds(parts);
    const elapsed = (performance.now() - startedAt) / 1_000;
    const perOperation: Record<string, number> = {};
    for (const [part, used] of Object.entries(after))
      perOperation[part] = ((used - (before[part] ?? 0)) * 1e6) / Math.max(1, operations);
    const busy = Math.min(1, (machineBusy() - busyBefore) / (elapsed * cpus().length));
    return { what, parts: perOperation, busy };
  };
}

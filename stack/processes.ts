import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { endProcess, identify, isRunning, type ProcessIdentity } from './identity.js';

export interface ProcessSpec {
  /** Unique within `runDir`: names the pid file. */
  name: string;
  command: string;
  args: string[];
  /** Folder of the pid files; what is left there by a parent that was killed is swept at the next start. */
  runDir: string;
  /** Receives stdout and stderr, appended. */
  logFile: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** More flags for setpriv (Linux only), used where a process must run under another user with a capability. */
  setprivFlags?: string[];
  /** What ends this process in good order. Default SIGTERM. */
  stopSignal?: NodeJS.Signals;
  /** Sent by the kernel when the parent dies (Linux), and by us when the parent exits without stopping it. Default: stopSignal. */
  orphanSignal?: NodeJS.Signals;
}

/** A child process that never outlives its parent unnoticed. */
export interface ManagedProcess {
  readonly name: string;
  readonly pid: number;
  readonly identity: ProcessIdentity;
  readonly running: boolean;
  /** Settles when the process has ended, with how. */
  readonly exited: Promise<ProcessExit>;
  kill(sig?: NodeJS.Signals): void;
  /** Lets this process's event loop end although the child runs; the child then gets its orphan signal. */
  unref(): void;
  /** Ends it (SIGKILL after `graceMs`) and resolves when it is gone; harmless when it already is. */
  stop(options?: { signal?: NodeJS.Signals; graceMs?: number }): Promise<void>;
}

export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

interface PidFile extends ProcessIdentity {
  name: string;
  stopSignal: NodeJS.Signals;
}

let setpriv: boolean | undefined;

/** True where util-linux's setpriv can ask the kernel to end a child together with its parent. */
export function hasSetpriv(): boolean {
  setpriv ??=
    process.platform === 'linux' &&
    spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore', timeout: 5_000 }).status === 0;
  return setpriv;
}

const living = new Map<ChildProcess, NodeJS.Signals>();
let hooked = false;

/** The last resort: whatever way this process ends, short of SIGKILL, its children are told. */
function hookExit(): void {
  if (hooked) return;
  hooked = true;
  process.on('exit', () => {
    for (const [child, sig] of living) child.kill(sig);
  });
}

/** Starts a process with a pid file and a log. Throws when it cannot be started at all. */
export async function spawnManaged(spec: ProcessSpec): Promise<ManagedProcess> {
  const stopSignal = spec.stopSignal ?? 'SIGTERM';
  const orphanSignal = spec.orphanSignal ?? stopSignal;
  mkdirSync(spec.runDir, { recursive: true });
  mkdirSync(dirname(spec.logFile), { recursive: true });
  hookExit();

  const wrapped = withSetpriv(spec, orphanSignal);
  const log = openSync(spec.logFile, 'a');
  const child = spawn(wrapped.command, wrapped.args, {
    cwd: spec.cwd,
    env: spec.env ?? process.env,
    stdio: ['ignore', log, log],
    uid: wrapped.uid,
    gid: wrapped.gid,
    // Its own process group: Ctrl-C in the terminal reaches us alone, and we stop the parts in order.
    detached: true,
  });
  closeSync(log);
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, sig) => resolve({ code, signal: sig }));
    child.once('error', () => resolve({ code: 127, signal: null }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(new Error(`${spec.name}: cannot start ${spec.command}: ${error.message}`)));
  });

  living.set(child, orphanSignal);
  // One that ended at once has no stamp any more; the empty one matches no process.
  const identity = identify(child.pid!) ?? { pid: child.pid!, stamp: '' };
  const pidFile = join(spec.runDir, `${spec.name}.pid`);
  writeFileSync(pidFile, JSON.stringify({ ...identity, name: spec.name, stopSignal } satisfies PidFile));
  let running = true;
  void exited.then(() => {
    running = false;
    living.delete(child);
    rmSync(pidFile, { force: true });
  });

  return {
    name: spec.name,
    pid: child.pid!,
    identity,
    exited,
    get running() {
      return running;
    },
    kill(sig = stopSignal) {
      if (running) child.kill(sig);
    },
    unref: () => child.unref(),
    async stop({ signal: sig = stopSignal, graceMs = 10_000 } = {}) {
      if (!running) return;
      child.ref();
      child.kill(sig);
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

function withSetpriv(spec: ProcessSpec, orphanSignal: NodeJS.Signals) {
  const { command, args, uid, gid } = spec;
  if (!hasSetpriv()) {
    if (spec.setprivFlags?.length)
      throw new Error(`${spec.name}: needs setpriv (package util-linux), which is not here.`);
    return { command, args, uid, gid };
  }
  const flags = ['--pdeathsig', orphanSignal.replace('SIG', ''), ...(spec.setprivFlags ?? [])];
  // setpriv must change the user itself: a change after it has set the parent-death signal would clear that signal.
  if (uid !== undefined) flags.push('--reuid', String(uid));
  if (gid !== undefined) flags.push('--regid', String(gid), '--clear-groups');
  return { command: 'setpriv', args: [...flags, '--', command, ...args], uid: undefined, gid: undefined };
}

/** The processes that pid files in `runDir` name and that still run. */
export function leftovers(runDir: string): PidFile[] {
  const found: PidFile[] = [];
  for (const file of listPidFiles(runDir)) {
    const entry = readPidFile(join(runDir, file));
    if (entry && isRunning(entry)) found.push(entry);
  }
  return found;
}

/**
 * Ends what an earlier parent left running, and removes the pid files. Only processes whose start stamp agrees are touched.
 * @returns the names of those that were ended.
 */
export async function sweep(runDir: string): Promise<string[]> {
  const ended: string[] = [];
  await Promise.all(
    listPidFiles(runDir).map(async (file) => {
      const path = join(runDir, file);
      const entry = readPidFile(path);
      if (entry && isRunning(entry)) {
        await endProcess(entry, entry.stopSignal);
        ended.push(entry.name);
      }
      rmSync(path, { force: true });
    }),
  );
  return ended.sort();
}

function listPidFiles(runDir: string): string[] {
  try {
    return readdirSync(runDir).filter((file) => file.endsWith('.pid'));
  } catch {
    return [];
  }
}

function readPidFile(path: string): PidFile | undefined {
  try {
    const entry = JSON.parse(readFileSync(path, 'utf8')) as PidFile;
    return typeof entry.pid === 'number' && typeof entry.stamp === 'string' ? entry : undefined;
  } catch {
    return undefined;
  }
}

const cleanups = new Set<() => Promise<void>>();
let listening = false;
let cleaning: Promise<void> | undefined;

/**
 * Registers work to be done when this process is told to end (SIGINT, SIGTERM, SIGHUP): all of it runs, at most `SHUTDOWN_MS`,
 * then the process exits with 128 + the signal's number. Returns a function that takes the registration back.
 */
export function onShutdown(cleanup: () => Promise<void>): () => void {
  cleanups.add(cleanup);
  if (!listening) {
    listening = true;
    for (const [sig, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 })) {
      process.on(sig, () => void runCleanups().then(() => process.exit(128 + number)));
    }
  }
  return () => cleanups.delete(cleanup);
}

const SHUTDOWN_MS = 45_000;

/** Runs every registered cleanup once, the last registered first; a second call waits for the first. */
export function runCleanups(): Promise<void> {
  cleaning ??= (async () => {
    const timer = new Promise<void>((resolve) => setTimeout(resolve, SHUTDOWN_MS).unref());
    const work = async () => {
      for (const cleanup of [...cleanups].reverse())
        await cleanup().catch((error: unknown) => console.error(error instanceof Error ? error.message : error));
      cleanups.clear();
    };
    await Promise.race([work(), timer]);
  })();
  return cleaning;
}

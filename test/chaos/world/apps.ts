/** A server or worker process out of a program folder. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ManagedProcess, spawnManaged } from '../../../stack/processes.js';
import type { AppPart } from '../world.js';
import type { Link } from './link.js';

export interface AppSpec {
  readonly kind: 'server' | 'worker';
  readonly name: string;
  readonly program: string;
  readonly dir: string;
  readonly port: number;
  readonly env: NodeJS.ProcessEnv;
  readonly database: Link;
}

/** Signals that end nothing. */
const HARMLESS: readonly NodeJS.Signals[] = ['SIGSTOP', 'SIGCONT'];
const END_MS = 32_000;
const ANSWER_MS = 60_000;

export class ChaosApp implements AppPart {
  readonly kind: 'server' | 'worker';
  readonly name: string;
  readonly port: number;
  readonly dir: string;
  readonly logFile: string;
  readonly database: Link;
  /** It ended although it had been ready and nobody had asked it to: how often. */
  aloneEnds = 0;
  private process: ManagedProcess | undefined;
  private wasReady = false;
  private asked = false;

  constructor(private readonly spec: AppSpec) {
    this.kind = spec.kind;
    this.name = spec.name;
    this.port = spec.port;
    this.dir = spec.dir;
    this.database = spec.database;
    this.logFile = join(spec.dir, 'logs', `${spec.name}.log`);
  }

  get pid(): number {
    return this.process?.pid ?? 0;
  }

  get running(): boolean {
    return this.process?.running ?? false;
  }

  get exited(): Promise<unknown> {
    return this.process?.exited ?? Promise.resolve();
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.lookAtEnd();
    if (!HARMLESS.includes(signal)) this.asked = true;
    this.process?.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.lookAtEnd();
    this.asked = true;
    this.process?.kill('SIGCONT');
    await this.process?.stop({ signal, graceMs: END_MS });
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
    await this.answers();
  }

  /** Where it has ended by itself: one that waits for a part that is away may end, one that was ready goes on (FAULTS 12). */
  private lookAtEnd(): void {
    if (this.running || !this.wasReady || this.asked) return;
    this.wasReady = false;
    this.aloneEnds++;
  }

  async start(): Promise<void> {
    const { spec } = this;
    this.lookAtEnd();
    [this.wasReady, this.asked] = [false, false];
    const main = join(spec.program, 'dist', spec.kind === 'server' ? 'server' : 'workers', 'main.js');
    this.process = await spawnManaged({
      name: spec.name,
      command: process.execPath,
      args: ['--enable-source-maps', main],
      env: spec.env,
      cwd: spec.program,
      runDir: join(spec.dir, 'run'),
      logFile: this.logFile,
      orphanSignal: 'SIGKILL',
    });
  }

  /** It runs and listens; whether it is ready depends on others that may be broken just now. */
  private async answers(): Promise<void> {
    const deadline = Date.now() + ANSWER_MS;
    while (Date.now() < deadline && this.running) {
      if ((await this.probe('/livez')) === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // A process that ends by itself because a part it needs is away is the supervisor's to start again: see `World.heal`.
  }

  /** The status of a probe; undefined where nothing answers. */
  async probe(path: '/livez' | '/readyz'): Promise<number | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}${path}`, { signal: AbortSignal.timeout(2_000) });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return undefined;
    }
  }

  /** Waits until /readyz answers 200, starting the process again where it ended. */
  async ready(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      if (!this.running) await this.start();
      const status = await this.probe('/readyz');
      if (status === 200) {
        this.wasReady = true;
        return;
      }
      if (Date.now() > deadline)
        throw new Error(
          `${this.name} is not ready after ${timeoutMs} ms (${status ?? 'no answer'}).\n${this.logTail()}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  logTail(lines = 12): string {
    try {
      return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
      return '(no log)';
    }
  }
}

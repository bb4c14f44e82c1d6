import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { projectRoot } from '../../stack/project.js';
import { atEnd } from '../harness/index.js';

export interface WorkerProcess {
  readonly child: ChildProcess;
  /** What it logged, one object a line. */
  readonly lines: Record<string, unknown>[];
  readonly port: number;
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** A worker as a process of its own; resolves when it says that it is ready. */
export async function spawnWorker(env: Record<string, string>): Promise<WorkerProcess> {
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), join(projectRoot(), 'workers/main.ts')],
    {
      env: { ...process.env, ...env, HOLDFAST_LOG_LEVEL: 'info', HOLDFAST_METRICS_PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines: Record<string, unknown>[] = [];
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    child.kill(signal);
    await exited;
  };
  atEnd(() => kill());
  const port = await new Promise<number>((resolve, reject) => {
    void exited.then(() => reject(new Error(`the worker ended while starting: ${JSON.stringify(lines.at(-1))}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line) as Record<string, unknown>;
      lines.push(entry);
      if (entry.msg === 'worker ready') resolve(entry.metricsPort as number);
    });
  });
  return { child, lines, port, kill };
}

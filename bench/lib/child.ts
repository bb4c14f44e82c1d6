/** Programs of the benchmarks that run as processes of their own and say one line when they are ready. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Bed } from './bed.js';

export interface Child {
  readonly pid: number;
  /** The line it said. */
  readonly said: string;
}

const START_MS = 20_000;

/** `path` relative to bench/, without its ending. Ends with the benchmark. */
export async function startChild(bed: Bed, path: string, args: string[] = [], nodeArgs: string[] = []): Promise<Child> {
  const source = import.meta.url.endsWith('.ts');
  const entry = fileURLToPath(new URL(`../${path}.${source ? 'ts' : 'js'}`, import.meta.url));
  const all = [...(source ? ['--import', import.meta.resolve('tsx')] : []), ...nodeArgs, entry, ...args];
  const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  bed.add(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  void exited.then(() => process.off('exit', onExit));
  const said = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${path} did not start`)), START_MS);
    child.stdout.once('data', (chunk: Buffer) => {
      clearTimeout(timer);
      resolve(chunk.toString().trim());
    });
    child.once('exit', () => reject(new Error(`${path} ended while starting`)));
  });
  return { pid: child.pid!, said };
}

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { identify, isRunning, type ProcessIdentity, signal, waitGone } from '../../stack/identity.js';
import { freePort } from '../../stack/ports.js';
import { leftovers } from '../../stack/processes.js';
import { projectRoot } from '../../stack/project.js';
import { runningState, type StackState } from '../../stack/state.js';
import { atEnd, tempDir } from '../harness/index.js';

interface Result {
  code: number | null;
  out: string;
}

const COMMAND = import.meta.url.endsWith('.ts')
  ? ['--import', import.meta.resolve('tsx'), join(projectRoot(), 'cli', 'main.ts')]
  : [join(projectRoot(), 'dist', 'cli', 'main.js')];

function start(args: string[], dir: string): ChildProcess {
  return spawn(process.execPath, [...COMMAND, ...args, '--data', dir], { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
}

async function holdfast(dir: string, ...args: string[]): Promise<Result> {
  return finished(start(args, dir));
}

function finished(child: ChildProcess): Promise<Result> {
  let out = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));

  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out })));
}

/** Every process that the state file names. */
function all(state: StackState): ProcessIdentity[] {
  const pids = [state.supervisor.pid, state.postgres.pid!, ...state.redis.nodes.map((node) => node.pid)];
  return [...pids, ...state.apps.map((app) => app.pid)].map((pid) => identify(pid)!);
}

async function call(state: StackState, dir: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const { out: token } = await holdfast(dir, 'token', '--role', 'admin', '--sub', 'tester');
  const response = await fetch(`${state.url}/v1/stock/berlin/mug${path}`, {
    method,
    headers: { authorization: `Bearer ${token.trim()}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return response.json();
}

t.test('up, twice; everything killed at once; up again with the data; down', async (t) => {
  const dir = tempDir();
  const up = ['up', '--detach', '--port', String(await freePort()), '--workers', '1'];
  atEnd(async () => void (await holdfast(dir, 'down')));

  const first = await holdfast(dir, ...up);
  t.equal(first.code, 0, first.out);
  const state = runningState(dir)!;
  t.match(first.out, `${state.url}/docs`);
  const again = await holdfast(dir, ...up);
  t.match(again, { code: 0, out: /already up/ });
  t.strictSame(runningState(dir), state, 'the second up changed nothing');
  t.match(await holdfast(dir, 'status'), { code: 0, out: /64 of 64 open/ });

  await call(state, dir, 'PUT', '', {});
  const restocked = await call(state, dir, 'POST', '/restock', { quantity: 10 });
  t.match(restocked, { available: 10 });

  const processes = all(state);
  t.equal(processes.length, 1 + 1 + 6 + 2);
  for (const one of processes) signal(one, 'SIGKILL');
  for (const one of processes) t.ok(await waitGone(one, 10_000));
  t.match(await holdfast(dir, 'status'), { code: 1, out: /Nothing is running/ });

  const second = await holdfast(dir, ...up);
  t.equal(second.code, 0, second.out);
  const now = runningState(dir)!;
  t.match(await call(now, dir, 'GET', ''), { available: 10 });
  t.match(await holdfast(dir, 'down'), { code: 0, out: /stopped; the data is kept/ });
  t.notOk(all(now).some(isRunning));
  t.match(await holdfast(dir, 'down'), { code: 0, out: /nothing is running/ });
});

t.test('Ctrl-C ends everything in order', async (t) => {
  const dir = tempDir();
  atEnd(async () => void (await holdfast(dir, 'down')));
  const child = start(['up', '--port', String(await freePort()), '--workers', '1'], dir);
  const end = finished(child);
  for (let i = 0; i < 1_200 && runningState(dir)?.phase !== 'ready' && child.exitCode === null; i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const processes = all(runningState(dir)!);
  child.kill('SIGINT');
  const { code, out } = await end;
  t.equal(code, 130, out);
  t.notOk(processes.some(isRunning));
  t.notOk(existsSync(join(dir, 'state.json')));
});

t.test('the supervisor alone is killed: its parts end with it', { skip: process.platform !== 'linux' }, async (t) => {
  const dir = tempDir();
  atEnd(async () => void (await holdfast(dir, 'down')));
  await holdfast(dir, 'up', '--detach', '--port', String(await freePort()), '--workers', '1');
  const processes = all(runningState(dir)!);
  signal(processes[0]!, 'SIGKILL');
  for (const one of processes) t.ok(await waitGone(one, 40_000), `process ${one.pid} is gone`);
  for (const runDir of ['run', 'redis/run', 'postgres/run']) t.strictSame(leftovers(join(dir, runDir)), []);
});

t.test('a port in use is named, and nothing is left behind', async (t) => {
  const dir = tempDir();
  const { createServer } = await import('node:net');
  const squatter = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => squatter.once('listening', resolve));
  const { port } = squatter.address() as { port: number };
  t.match(await holdfast(dir, 'up', '--port', String(port)), { code: 1, out: new RegExp(`Port ${port} is in use`) });
  squatter.close();
  t.strictSame(
    readdirSync(dir).filter((name) => name.endsWith('.pid') || name === 'state.json'),
    [],
  );
});

t.test('wrong options are refused with what is allowed', async (t) => {
  const dir = tempDir();
  t.match(await holdfast(dir, 'up', '--port', '70000'), { code: 1, out: /from 1 to 65535/ });
  t.match(await holdfast(dir, 'up', '--workers', 'many'), { code: 1, out: /from 1 to 16/ });
  t.match(await holdfast(dir, 'token', '--role', 'root', '--sub', 'x'), { code: 1, out: /admin, service, buyer/ });
  t.match(await holdfast(dir, 'token', '--role', 'buyer'), { code: 1, out: /--sub/ });
  t.match(await holdfast(dir, 'frobnicate'), { code: 1, out: /unknown command/ });
});

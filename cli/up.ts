import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pc from 'picocolors';
import { onShutdown, runCleanups } from '../stack/processes.js';
import { defaultDataDir } from '../stack/project.js';
import { runningState, type StackState } from '../stack/state.js';
import { supervise, type Supervised, supervisorOf } from '../stack/supervisor.js';

export interface UpOptions {
  data: string;
  port: number;
  host: string;
  workers: number;
  servers: number;
  demo?: boolean;
  /** Sizes of the demo; its own defaults otherwise. */
  buyers?: number;
  units?: number;
  orders?: number;
  /** With `demo`: stop what was started when the demo is over. */
  exit?: boolean;
  detach?: boolean;
}

/** How long a start in the background may take before it is reported as failed; a large append-only file takes its time. */
const START_MS = 240_000;

const print = (line = '') => void process.stdout.write(`${line}\n`);

/** Starts the stack (or finds it running) and resolves with the exit code when its work is done. */
export async function up(options: UpOptions): Promise<number> {
  if (options.exit && (!options.demo || options.detach))
    throw new Error('--exit goes with --demo, and not with --detach.');
  if (options.demo) await checkDemo(options);
  const owner = supervisorOf(options.data);
  if (owner) {
    const state = await waitReadyState(options.data, () => supervisorOf(options.data) !== undefined);
    if (!state) throw new Error(`Process ${owner.pid} was starting a stack in ${options.data} and ended. Try again.`);
    print(`${pc.green('✔')} already up`);
    summary(state, options.data);
    return options.demo ? demo(state, options) : 0;
  }
  return options.detach ? background(options) : foreground(options);
}

async function foreground(options: UpOptions): Promise<number> {
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const running: { all?: Supervised } = {};
  const ending = new AbortController();
  // Registered before anything starts, so that Ctrl-C during the start ends what has been started by then.
  onShutdown(async () => {
    print(pc.dim('\nstopping; the data is kept …'));
    ending.abort();
    await running.all?.stop();
    finish();
  });
  running.all = await supervise({
    dir: options.data,
    port: options.port,
    host: options.host,
    servers: options.servers,
    workers: options.workers,
    redisUrl: process.env.HOLDFAST_REDIS_URL || undefined,
    databaseUrl: process.env.HOLDFAST_DATABASE_URL || undefined,
    prepareDatabase: async (ownerUrl, roles) => {
      const { migrate } = await import('../workers/db/migrate.js');
      const { grantRoles } = await import('../workers/db/roles.js');
      await migrate(ownerUrl);
      await grantRoles(ownerUrl, roles);
    },
    onProgress: (line) => print(`${pc.cyan('›')} ${line}`),
    onEvent: (line) => print(`${pc.yellow('!')} ${line}`),
  });
  const state = runningState(options.data)!;
  print(`${pc.green('✔')} ready`);
  summary(state, options.data);
  const code = options.demo ? await demo(state, options, ending.signal) : 0;
  if (options.demo && options.exit) {
    await runCleanups();
    return code;
  }
  if (!ending.signal.aborted) print(pc.dim('Ctrl-C stops everything and keeps the data.'));
  // Children alone keep the loop alive only while there are any; with servers of someone else there may be few.
  const alive = setInterval(() => undefined, 60_000);
  await finished;
  clearInterval(alive);
  return code;
}

/** The same command without --detach as a process of its own; its output goes to a log. */
async function background(options: UpOptions): Promise<number> {
  const logDir = join(options.data, 'logs');
  mkdirSync(logDir, { recursive: true });
  const logFile = join(logDir, 'supervisor.log');
  const log = openSync(logFile, 'w');
  const args = ['up', '--data', options.data, '--port', String(options.port), '--host', options.host];
  args.push('--workers', String(options.workers), '--servers', String(options.servers));
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let ended = false;
  child.once('exit', () => (ended = true));
  child.once('error', () => (ended = true));
  const withdraw = onShutdown(async () => void child.kill('SIGTERM'));
  print(`${pc.cyan('›')} starting in the background`);
  const state = await waitReadyState(options.data, () => !ended);
  withdraw();
  if (!state) {
    if (!ended) child.kill('SIGTERM');
    process.stderr.write(`${readFileSync(logFile, 'utf8').trimEnd()}\n`);
    return 1;
  }
  child.unref();
  print(`${pc.green('✔')} ready, in the background; ${pc.bold('./holdfast down')} stops it`);
  summary(state, options.data);
  return options.demo ? demo(state, options) : 0;
}

async function waitReadyState(dataDir: string, alive: () => boolean): Promise<StackState | undefined> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const state = runningState(dataDir);
    if (state?.phase === 'ready') return state;
    if (!alive() || Date.now() > deadline) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function summary(state: StackState, dataDir: string): void {
  const row = (name: string, value: string) => print(`  ${pc.dim(name.padEnd(9))} ${value}`);
  const servers = state.apps.filter((app) => app.kind === 'server').length;
  const workers = state.apps.length - servers;
  const nodes = state.redis.own ? `${state.redis.nodes.length} Redis nodes` : 'your Redis';
  print();
  row('API', pc.bold(state.url));
  row('docs', `${state.url}/docs`);
  row('parts', `${nodes}, ${state.postgres.own ? 'Postgres' : 'your Postgres'}, ${servers} server, ${workers} workers`);
  row('logs', state.logDir);
  print();
  const data = dataDir === defaultDataDir() ? '' : ` --data ${dataDir}`;
  const item = `${state.url}/v1/stock/berlin/mug`;
  print(pc.dim('  Put ten on sale and look:'));
  print(`  AUTH="Authorization: Bearer $(./holdfast token --role admin --sub me${data})"`);
  print(`  JSON='Content-Type: application/json'`);
  print(`  curl -H "$AUTH" -H "$JSON" -X PUT -d '{}' ${item}`);
  print(`  curl -H "$AUTH" -H "$JSON" -d '{"quantity":10}' ${item}/restock`);
  print(`  curl ${item}`);
  print();
}

/** The demo is loaded only when asked for: it brings the load generator with it. */
const loadDemo = () => import('./demo/index.js');

/** Sizes that cannot be done are refused before anything is started. */
async function checkDemo(options: UpOptions): Promise<void> {
  (await loadDemo()).checkedOptions(options);
}

/** Resolves with the exit code: 0 when everything held. What went wrong is printed, the stack is left as it is. */
async function demo({ url, env }: StackState, options: UpOptions, signal?: AbortSignal): Promise<number> {
  try {
    return (await (await loadDemo()).runDemo({ url, env, options, signal })).ok ? 0 : 1;
  } catch (error) {
    if (!signal?.aborted) process.stderr.write(`${pc.red('error')} demo: ${(error as Error).message}\n`);
    return 1;
  }
}

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identify, isRunning, type ProcessIdentity } from './identity.js';
import { type LocalStack, type LocalStackOptions, type StackUsers, startLocalStack } from './stack.js';
import { clearState, loadSecrets, type StackState, writeState } from './state.js';

export interface SuperviseOptions extends Omit<LocalStackOptions, 'users'> {
  /** With it, every part logs in to Redis and Postgres as what it is; passwords are kept with the data. */
  prepareDatabase?: StackUsers['prepareDatabase'];
  /** Told what happened after the start: a part ended, was started again, was given up. */
  onEvent?: (line: string) => void;
}

export interface Supervised {
  readonly stack: LocalStack;
  stop(): Promise<void>;
}

/** Wait before the n-th start in a row: 0.25, 0.5 … at most 10 s. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
/** After so many ends in a row it is not bad luck, and starting it again only fills the log. */
const GIVE_UP_AFTER = 8;
/** A process that meets a node at the wrong moment of its start may end; one that is set up wrongly ends every time. */
const START_ATTEMPTS = 3;
/** Who ran for this long is healthy again: its earlier ends are forgotten. */
const HEALTHY_MS = 60_000;

/** A part of the stack that can end by itself and be started again. */
interface Part {
  name: string;
  readonly running: boolean;
  readonly exited: Promise<unknown>;
  restart(): Promise<void>;
  restarts: number;
}

/**
 * Starts the stack of a data folder, keeps its parts running and its state file true.
 * Throws when another process does the same for this folder.
 */
export async function supervise(options: SuperviseOptions): Promise<Supervised> {
  const me = identify(process.pid)!;
  claim(options.dir, me);
  let stack: LocalStack;
  try {
    const { redis, postgres, ...secrets } = loadSecrets(options.dir);
    const jwtSecret = process.env.HOLDFAST_JWT_SECRET || secrets.jwtSecret;
    const { prepareDatabase } = options;
    const users = prepareDatabase && { redis, postgres, prepareDatabase };
    stack = await startLocalStack({ startAttempts: START_ATTEMPTS, ...options, jwtSecret, users });
  } catch (error) {
    release(options.dir);
    throw error;
  }
  const parts = partsOf(stack);
  const startedAt = new Date().toISOString();
  let stopping = false;
  const save = (phase: StackState['phase']) => writeState(options.dir, stateOf(stack, parts, me, startedAt, phase));
  save('ready');
  const say = options.onEvent ?? (() => undefined);
  for (const part of parts)
    void watch(
      part,
      say,
      () => stopping,
      () => !stopping && save('ready'),
    );
  return {
    stack,
    async stop() {
      if (stopping) return;
      stopping = true;
      save('stopping');
      await stack.stop();
      clearState(options.dir);
      release(options.dir);
    },
  };
}

function partsOf(stack: LocalStack): Part[] {
  const part = (
    name: string,
    subject: { running: boolean; exited: Promise<unknown> },
    restart: () => Promise<void>,
  ): Part => ({
    name,
    restarts: 0,
    restart,
    get running() {
      return subject.running;
    },
    get exited() {
      return subject.exited;
    },
  });
  const parts = [...stack.servers, ...stack.workers].map((app) => part(app.name, app, () => app.start()));
  const { redis } = stack;
  for (const node of redis?.nodes ?? []) {
    const restart = async (): Promise<void> => {
      await redis!.mayReturn(node);
      await node.restart();
    };
    parts.push(part(`redis-${node.port}`, node, restart));
  }
  const { postgres } = stack;
  if (postgres) parts.push(part('postgres', postgres, () => postgres.restart()));
  return parts;
}

async function watch(
  part: Part,
  say: (line: string) => void,
  stopping: () => boolean,
  changed: () => void,
): Promise<void> {
  let inARow = 0;
  for (;;) {
    const since = Date.now();
    const how = (await part.exited) as { code: number | null; signal: string | null };
    if (stopping()) return;
    inARow = Date.now() - since > HEALTHY_MS ? 1 : inARow + 1;
    const end = how.signal ? `by ${how.signal}` : `with exit code ${how.code}`;
    if (inARow > GIVE_UP_AFTER) {
      say(`${part.name} ended ${end}, ${inARow} times in a row: not started again. Its log says why.`);
      return;
    }
    const wait = Math.min(FIRST_WAIT_MS * 2 ** (inARow - 1), LONGEST_WAIT_MS);
    say(`${part.name} ended ${end}; starting it again in ${wait / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (stopping()) return;
    try {
      await part.restart();
      part.restarts++;
      // When `stop` came while it started and did not see it, the end of this process ends it (see spawnManaged).
      if (stopping()) return;
      changed();
    } catch (error) {
      say(`${part.name} cannot be started again: ${(error as Error).message}`);
      if (!part.running && inARow >= GIVE_UP_AFTER) return;
    }
  }
}

function stateOf(
  stack: LocalStack,
  parts: Part[],
  supervisor: ProcessIdentity,
  startedAt: string,
  phase: StackState['phase'],
): StackState {
  const restarts = (name: string) => parts.find((part) => part.name === name)?.restarts ?? 0;
  const nodes = stack.redis?.nodes.map(({ port, pid, role }) => ({ port, pid, role })) ?? [];
  const { postgres } = stack;
  return {
    format: 1,
    supervisor,
    phase,
    startedAt,
    url: stack.url,
    port: stack.port,
    logDir: stack.logDir,
    env: { ...stack.env },
    redis: { url: stack.redisUrl, own: stack.redis !== undefined, nodes },
    postgres: {
      url: stack.databaseUrl,
      readerUrl: stack.readerUrl,
      own: postgres !== undefined,
      port: postgres?.port,
      pid: postgres?.pid,
    },
    apps: [...stack.servers, ...stack.workers].map(({ name, kind, pid, port }) => ({
      name,
      kind,
      pid,
      port,
      restarts: restarts(name),
    })),
  };
}

const CLAIM_FILE = 'supervisor.json';

/** Who owns a data folder, from the first moment of a start on; undefined when nobody does. */
export function supervisorOf(dir: string): ProcessIdentity | undefined {
  try {
    const owner = JSON.parse(readFileSync(join(dir, CLAIM_FILE), 'utf8')) as ProcessIdentity;
    return isRunning(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}

export class AlreadySupervised extends Error {
  constructor(dir: string, owner: ProcessIdentity) {
    super(`Process ${owner.pid} already runs (or is starting) a stack in ${dir}.`);
    this.name = 'AlreadySupervised';
  }
}

function claim(dir: string, me: ProcessIdentity): void {
  mkdirSync(dir, { recursive: true });
  const owner = supervisorOf(dir);
  if (owner && owner.pid !== me.pid) throw new AlreadySupervised(dir, owner);
  const file = join(dir, CLAIM_FILE);
  rmSync(file, { force: true });
  try {
    // `wx`: of two that found the folder free at the same moment only one gets it.
    writeFileSync(file, JSON.stringify(me), { flag: 'wx' });
  } catch (error) {
    const other = supervisorOf(dir);
    throw other ? new AlreadySupervised(dir, other) : error;
  }
}

function release(dir: string): void {
  rmSync(join(dir, CLAIM_FILE), { force: true });
}

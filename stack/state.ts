import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning, type ProcessIdentity } from './identity.js';
import { makePostgresPasswords, type PostgresPasswords } from './postgres-roles.js';
import { makeRedisPasswords, type RedisPasswords } from './redis-users.js';

/** What runs in a data folder; written by `up`, read by every other command. Only its owner may read it: it holds passwords. */
export interface StackState {
  /** Grows when the meaning of a field changes. */
  format: 1;
  /** The process that owns all others. */
  supervisor: ProcessIdentity;
  /** `starting` until every part is ready. */
  phase: 'starting' | 'ready' | 'stopping';
  startedAt: string;
  /** Base address of the HTTP server. */
  url: string;
  port: number;
  logDir: string;
  /** The environment (HOLDFAST_*) that servers and workers were started with. */
  env: Record<string, string>;
  /** As the operator. */
  redis: { url: string; own: boolean; nodes: { port: number; pid: number; role: string }[] };
  /** `url` as a worker, `readerUrl` for reading only. */
  postgres: { url: string; readerUrl?: string; own: boolean; port?: number; pid?: number };
  apps: { name: string; kind: 'server' | 'worker'; pid: number; port: number; restarts: number }[];
}

const STATE_FILE = 'state.json';
const SECRETS_FILE = 'secrets.json';

export function readState(dataDir: string): StackState | undefined {
  const file = join(dataDir, STATE_FILE);
  if (!existsSync(file)) return undefined;
  try {
    const state = JSON.parse(readFileSync(file, 'utf8')) as StackState;
    return state.format === 1 ? state : undefined;
  } catch {
    return undefined;
  }
}

/** The state of a stack that runs now; undefined when its owner is gone, whatever the file says. */
export function runningState(dataDir: string): StackState | undefined {
  const state = readState(dataDir);
  return state && isRunning(state.supervisor) ? state : undefined;
}

/** Replaces the file in one step: a reader sees the old or the new state, never half of one. */
export function writeState(dataDir: string, state: StackState): void {
  mkdirSync(dataDir, { recursive: true });
  const next = join(dataDir, `${STATE_FILE}.new`);
  writeFileSync(next, JSON.stringify(state, null, 2), { mode: 0o600 });
  renameSync(next, join(dataDir, STATE_FILE));
}

export function clearState(dataDir: string): void {
  rmSync(join(dataDir, STATE_FILE), { force: true });
}

export interface Secrets {
  /** Signs the tokens of this stack (HS256); kept over restarts so that tokens stay valid. */
  jwtSecret: string;
  /** Of the users in Redis, and of the roles in Postgres, by role. */
  redis: RedisPasswords;
  postgres: PostgresPasswords;
}

/** The secrets of a data folder, made at its first start. One of an older version is given what it lacks. */
export function loadSecrets(dataDir: string): Secrets {
  const file = join(dataDir, SECRETS_FILE);
  if (existsSync(file)) {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as Partial<Secrets>;
    if (kept.jwtSecret && kept.redis && kept.postgres) return kept as Secrets;
    const next = `${file}.new`;
    writeFileSync(next, JSON.stringify({ ...makeSecrets(), ...kept }), { mode: 0o600 });
    renameSync(next, file);
    return loadSecrets(dataDir);
  }
  mkdirSync(dataDir, { recursive: true });
  const secrets = makeSecrets();
  // `wx`: of two that start at once, one makes the file and the other reads it.
  try {
    writeFileSync(file, JSON.stringify(secrets), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return loadSecrets(dataDir);
  }
  return secrets;
}

function makeSecrets(): Secrets {
  return {
    jwtSecret: randomBytes(32).toString('base64url'),
    redis: makeRedisPasswords(),
    postgres: makePostgresPasswords(),
  };
}

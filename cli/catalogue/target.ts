/** Which stack to talk to: the one named by `--url`, or the local one in a data folder. */
import { SignJWT } from 'jose';
import { defaultDataDir } from '../../stack/project.js';
import { loadSecrets, runningState } from '../../stack/state.js';
import type { Target } from './api.js';
import { CatalogueError } from './reasons.js';

export interface TargetOptions {
  url?: string;
  token?: string;
  data?: string;
}

/** Long enough for the largest file, short enough to be worthless tomorrow. */
const TOKEN_SECONDS = 3_600;

/**
 * `--url` with `--token` (or HOLDFAST_URL, HOLDFAST_TOKEN), else the stack that runs in the data folder, whose secret
 * signs a token of its own.
 * @throws {CatalogueError} saying what is missing
 */
export async function resolveTarget(options: TargetOptions, env = process.env): Promise<Target> {
  const url = options.url ?? (options.data === undefined ? env['HOLDFAST_URL'] : undefined);
  const token = options.token ?? env['HOLDFAST_TOKEN'];
  if (url !== undefined) {
    if (!/^https?:\/\/[^\s]+$/.test(url)) throw new CatalogueError(`Not an http(s) address: ${url}`);
    if (token === undefined || token === '') {
      throw new CatalogueError('With --url an admin token is needed: --token, or HOLDFAST_TOKEN in the environment.');
    }
    return { url, token };
  }
  const data = options.data ?? defaultDataDir();
  const state = runningState(data);
  if (!state) {
    throw new CatalogueError(
      `No stack runs in ${data}. Start one with ./holdfast up, or name another by --url and --token.`,
    );
  }
  return { url: state.url, token: token ?? (await adminToken(loadSecrets(data).jwtSecret, state.env)) };
}

async function adminToken(secret: string, env: Record<string, string>): Promise<string> {
  return new SignJWT({ role: 'admin' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject('catalogue')
    .setIssuer(env['HOLDFAST_JWT_ISSUER'] ?? 'holdfast')
    .setAudience(env['HOLDFAST_JWT_AUDIENCE'] ?? 'holdfast')
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + TOKEN_SECONDS)
    .sign(new TextEncoder().encode(secret));
}

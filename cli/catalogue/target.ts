/** Which stack to talk to: the one named by `--url`, or the local one in a data folder. */
import { resolve } from 'node:path';
import { defaultDataDir } from '../../stack/project.js';
import { runningState } from '../../stack/state.js';
import { signToken } from '../token.js';
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
  const data = options.data === undefined ? defaultDataDir() : resolve(options.data);
  const state = runningState(data);
  if (!state) {
    throw new CatalogueError(
      `No stack runs in ${data}. Start one with ./holdfast up, or name another by --url and --token.`,
    );
  }
  const claims = { role: 'admin', sub: 'catalogue', ttlSeconds: TOKEN_SECONDS } as const;
  return { url: state.url, token: token ?? (await signToken(data, claims)) };
}

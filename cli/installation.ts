import { runningState } from '../stack/state.js';
import type { Target } from '../workers/verify/connect.js';

/**
 * HOLDFAST_REDIS_URL and HOLDFAST_DATABASE_URL where both are set, else the local stack of this data folder.
 * `reader`: of a local stack, as the role that may only read its database. Throws when there is neither.
 */
export function findInstallation(dataDir: string, env: NodeJS.ProcessEnv = process.env, reader = false): Target {
  const given = env.HOLDFAST_REDIS_URL && env.HOLDFAST_DATABASE_URL ? env : undefined;
  const state = given ? undefined : runningState(dataDir);
  if (!given && !state) {
    throw new Error(
      `No stack runs in ${dataDir}. Start it with ./holdfast up, name its folder with --data, or set HOLDFAST_REDIS_URL and HOLDFAST_DATABASE_URL.`,
    );
  }
  const settings = given ?? state!.env;
  return {
    redisUrl: given?.HOLDFAST_REDIS_URL ?? state!.redis.url,
    databaseUrl:
      given?.HOLDFAST_DATABASE_URL ?? ((reader ? state!.postgres.readerUrl : undefined) || state!.postgres.url),
    keyPrefix: settings.HOLDFAST_KEY_PREFIX || 'hf',
    partitions: Number(settings.HOLDFAST_PARTITIONS || 64),
  };
}

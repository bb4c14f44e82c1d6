import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let cached: string | undefined;

/**
 * The folder of the project, whether this module runs from source (`stack/`) or compiled (`dist/stack/`).
 * Found by walking up to the `redis.conf` that stands beside `package.json`, so it does not depend on the working directory.
 */
export function projectRoot(): string {
  if (cached) return cached;
  let dir = dirname(fileURLToPath(import.meta.url));
  for (let depth = 0; depth < 8; depth++) {
    if (existsSync(join(dir, 'package.json')) && existsSync(join(dir, 'redis.conf'))) return (cached = dir);
    dir = dirname(dir);
  }
  throw new Error(`Holdfast's own folder was not found above ${fileURLToPath(import.meta.url)}.`);
}

/** Folder of a local stack's data: what the caller names, or `.holdfast` in the project. */
export function defaultDataDir(): string {
  return join(projectRoot(), '.holdfast');
}

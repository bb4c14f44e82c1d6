import { existsSync, readFileSync } from 'node:fs';

/** The project's version; the built code lies one folder deeper than the source. */
export const version: string = (() => {
  for (const path of ['../package.json', '../../package.json']) {
    const url = new URL(path, import.meta.url);
    if (existsSync(url)) return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
  }
  return '0.0.0';
})();

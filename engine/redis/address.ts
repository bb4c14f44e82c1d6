/** Where the cluster is, how to log in and whom to trust, from `EngineOptions.redis`. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { InvalidArgument } from '../errors.js';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What holds for every node of the cluster. */
export interface Access {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: ConnectionOptions | undefined;
}

export interface Address {
  readonly seeds: readonly Endpoint[];
  readonly access: Access;
}

/** Files (PEM) that a `rediss://` URL may name, as URLs of Postgres do: who signs the nodes' certificates, and our own. */
const TLS_FILES = { sslrootcert: 'ca', sslcert: 'cert', sslkey: 'key' } as const;
type TlsFile = keyof typeof TLS_FILES;

/**
 * `redis://` or, for TLS, `rediss://user:password@host:port?sslrootcert=/etc/ssl/redis-ca.pem&sslcert=…&sslkey=…`. Certificates are
 * always checked, against the named authority or those that Node trusts; they have to name the host, or the address that the
 * cluster announces.
 * @throws InvalidArgument for anything else, for URLs that do not agree on how to log in, for files that cannot be read.
 */
export function parseAddress(redis: string | readonly string[]): Address {
  const urls = (typeof redis === 'string' ? redis.split(',') : [...redis]).map((url) => url.trim()).filter(Boolean);
  if (urls.length === 0) throw new InvalidArgument('redis: no address given; expected redis://host:port');
  const parsed = urls.map(parseUrl);
  const first = parsed[0]!;
  if (parsed.some((url) => loginOf(url) !== loginOf(first)))
    throw new InvalidArgument('redis: all addresses must use the same scheme, user, password and parameters');
  const seeds = parsed.map(({ hostname, port }) => ({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port ? Number(port) : 6379,
  }));
  const access: Access = {
    username: first.username ? decodeURIComponent(first.username) : undefined,
    password: first.password ? decodeURIComponent(first.password) : undefined,
    tls: first.protocol === 'rediss:' ? readTls(first) : undefined,
  };
  return { seeds, access };
}

function parseUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new InvalidArgument('redis: an address is not a URL like redis://host:port');
  }
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw new InvalidArgument(`redis: expected redis:// or rediss://, not ${url.protocol}//`);
  if (url.pathname.length > 1 && url.pathname !== '/0')
    throw new InvalidArgument('redis: a cluster has no database numbers; leave the path empty');
  if (!url.hostname) throw new InvalidArgument('redis: an address has no host');
  for (const name of url.searchParams.keys()) {
    if (!(name in TLS_FILES)) throw new InvalidArgument(`redis: unknown parameter ${name}`);
    if (url.protocol === 'redis:') throw new InvalidArgument(`redis: ${name} goes with rediss://, not with redis://`);
  }
  return url;
}

function loginOf({ protocol, username, password, search }: URL): string {
  return JSON.stringify([protocol, username, password, search]);
}

function readTls({ searchParams }: URL): ConnectionOptions {
  const tls: ConnectionOptions = {};
  for (const [name, path] of searchParams)
    try {
      tls[TLS_FILES[name as TlsFile]] = readFileSync(path);
    } catch (error) {
      throw new InvalidArgument(`redis: ${name} cannot be read: ${(error as Error).message}`);
    }
  if (!tls.cert !== !tls.key) throw new InvalidArgument('redis: sslcert and sslkey go together');
  return tls;
}

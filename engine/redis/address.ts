/** Where the cluster is and how to log in, from `EngineOptions.redis`. */
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

/** @throws InvalidArgument for anything but `redis://` and `rediss://` URLs that agree on how to log in. */
export function parseAddress(redis: string | readonly string[]): Address {
  const urls = (typeof redis === 'string' ? redis.split(',') : [...redis]).map((url) => url.trim()).filter(Boolean);
  if (urls.length === 0) throw new InvalidArgument('redis: no address given; expected redis://host:port');
  const seeds: Endpoint[] = [];
  let access: Access | undefined;
  for (const text of urls) {
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
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (!host) throw new InvalidArgument('redis: an address has no host');
    seeds.push({ host, port: url.port ? Number(url.port) : 6379 });
    const own: Access = {
      username: url.username ? decodeURIComponent(url.username) : undefined,
      password: url.password ? decodeURIComponent(url.password) : undefined,
      tls: url.protocol === 'rediss:' ? {} : undefined,
    };
    if (access && (access.username !== own.username || access.password !== own.password || !access.tls !== !own.tls))
      throw new InvalidArgument('redis: all addresses must use the same scheme, user and password');
    access ??= own;
  }
  return { seeds, access: access! };
}

import { randomBytes } from 'node:crypto';
import { withAdmin } from '../../stack/redis-form.js';
import { atEnd, sharedRedisUrl } from './shared.js';

export interface TestCluster {
  /** `redis://host:port,…`, the form of HOLDFAST_REDIS_URL. */
  url: string;
  redisNodes: { host: string; port: number }[];
  /** Key prefix that belongs to this call alone: files share the cluster and never see each other's keys. */
  prefix: string;
}

const SCAN_COUNT = 2_000;

/**
 * The shared cluster (3 masters, 3 replicas) with a key prefix of its own; the keys under it are removed at the end of the file.
 * Its nodes must not be killed, paused or have their scripts flushed: that is what `startStack()` and `startCluster()` are for.
 */
export async function testCluster(): Promise<TestCluster> {
  const url = await sharedRedisUrl();
  const redisNodes = parseRedisUrl(url);
  const prefix = `t${randomBytes(5).toString('hex')}`;
  atEnd(() => removeKeys(redisNodes, prefix));
  return { url, redisNodes, prefix };
}

export function parseRedisUrl(url: string): { host: string; port: number }[] {
  return url.split(',').map((part) => {
    const { hostname, port } = new URL(part);
    return { host: hostname, port: Number(port || 6379) };
  });
}

async function removeKeys(nodes: { host: string; port: number }[], prefix: string): Promise<void> {
  await Promise.all(
    nodes.map(({ port }) =>
      withAdmin(port, async (client) => {
        if (!(await client.info('replication')).includes('role:master')) return;
        let cursor = '0';
        do {
          const [next, keys] = await client.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', SCAN_COUNT);
          cursor = next;
          const removals = client.pipeline();
          for (const key of keys) removals.unlink(key);
          await removals.exec();
        } while (cursor !== '0');
      }),
    ),
  );
}

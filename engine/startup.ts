/** What is checked before an engine is handed out: a clear error now instead of a strange one later. */
import { InvalidArgument, ShardUnavailable } from './errors.js';
import type { Keys } from './keys.js';
import type { Address, Endpoint } from './redis/address.js';
import { Connection, type ConnectionSettings } from './redis/connection.js';
import { textOf } from './redis/nodes.js';
import type { View } from './redis/topology.js';
import type { EngineOptions } from './types.js';

const COMMAND_TIMEOUT_MS = 2_000;
const LEAST_MAJOR = 7;
const MOVES = 5;

/** @throws ShardUnavailable when no node answers, InvalidArgument when a node is nothing Holdfast can run on. */
export async function checkServer(address: Address, settings: ConnectionSettings): Promise<void> {
  const problems: string[] = [];
  for (const seed of address.seeds) {
    let connection: Connection;
    try {
      connection = await Connection.open(seed, settings);
    } catch (error) {
      problems.push((error as Error).message);
      continue;
    }
    try {
      return await checkNode(connection);
    } finally {
      connection.close();
    }
  }
  throw new ShardUnavailable(`No Redis node can be reached: ${problems.join('; ')}`);
}

async function checkNode(connection: Connection): Promise<void> {
  const { host, port } = connection.endpoint;
  const at = `Redis at ${host}:${port}`;
  const info = await connection.run(['INFO'], COMMAND_TIMEOUT_MS).catch((error: Error) => {
    throw new ShardUnavailable(`${at}: ${error.message}`, { cause: error });
  });
  const text = textOf(info);
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(text)?.[1] ?? '';
  const version = field('redis_version');
  if (Number.parseInt(version, 10) < LEAST_MAJOR)
    throw new InvalidArgument(`${at} is version ${version}; Holdfast needs Redis 7.0 or newer, or Valkey.`);
  if (field('cluster_enabled') !== '1')
    throw new InvalidArgument(
      `${at} does not run as a cluster. Holdfast needs cluster mode (cluster-enabled yes), even with one node.`,
    );
}

/** Warns of nodes that would throw stock away when memory is full. */
export async function checkEviction(
  view: View,
  settings: ConnectionSettings,
  notice: NonNullable<EngineOptions['onNotice']>,
): Promise<void> {
  await Promise.all(
    [...view.masters.values()].map(async ({ id, endpoint }) => {
      const connection = await Connection.open(endpoint, settings).catch(() => undefined);
      const info = await connection?.run(['INFO', 'memory'], COMMAND_TIMEOUT_MS).catch(() => undefined);
      connection?.close();
      const policy = /maxmemory_policy:(\S+)/.exec(textOf(info))?.[1];
      if (policy && policy !== 'noeviction')
        notice({
          level: 'warn',
          message: 'maxmemory-policy is not noeviction: Redis would drop stock when its memory is full',
          node: id,
          policy,
        });
    }),
  );
}

/**
 * The number of partitions is chosen once: another one would look for everything under other keys.
 * The first engine that may open partitions writes it down.
 * @throws InvalidArgument when the installation was made with another number.
 */
export async function checkInstallation(
  keys: Keys,
  view: View,
  settings: ConnectionSettings,
  mayWrite: boolean,
  notice: NonNullable<EngineOptions['onNotice']>,
): Promise<void> {
  let endpoint: Endpoint | undefined = [...view.masters.values()][0]?.endpoint;
  for (let move = 0; endpoint && move < MOVES; move++) {
    const connection = await Connection.open(endpoint, settings).catch(() => undefined);
    if (!connection) break;
    try {
      const commands = [['HGET', keys.installation, 'partitions']];
      if (mayWrite) commands.unshift(['HSETNX', keys.installation, 'partitions', String(keys.partitions.count)]);
      const replies = await connection.all(commands, COMMAND_TIMEOUT_MS);
      const found = replies.at(-1);
      const to = found instanceof Error ? /^MOVED \d+ (.*):(\d+)$/.exec(found.message) : undefined;
      if (to) endpoint = { host: to[1] || endpoint.host, port: Number(to[2]) };
      else if (found instanceof Error) break;
      else {
        const count = textOf(found);
        if (count && count !== String(keys.partitions.count))
          throw new InvalidArgument(
            `This installation (prefix ${keys.prefix}) has ${count} partitions, not ${keys.partitions.count}. ` +
              'The number is chosen once; set partitions accordingly.',
          );
        return;
      }
    } catch (error) {
      if (error instanceof InvalidArgument) throw error;
      break;
    } finally {
      connection.close();
    }
  }
  notice({ level: 'warn', message: 'the number of partitions could not be checked: its node is away' });
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import t from 'tap';

/** A Redis of its own on a socket in the folder: no port is taken. It ends with the test. */
export async function startRedis(folder: string): Promise<Redis> {
  const socket = join(folder, 'redis.sock');
  const server = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder]);
  const exited = once(server, 'exit');
  t.teardown(async () => {
    server.kill();
    await exited;
  });
  for (let i = 0; i < 200 && !existsSync(socket); i++) await sleep(25);
  if (!existsSync(socket)) throw new Error('redis-server did not start');
  const redis = new Redis(socket);
  t.teardown(() => redis.disconnect());
  return redis;
}

/** The end of a server process: readiness first, then the port, and nobody who was being served is cut off. (G4) */
import { connect } from 'node:net';
import t from 'tap';
import { Client, startSystem } from './support.js';

t.test('SIGTERM', async (t) => {
  const stack = await startSystem({ env: { HOLDFAST_SHUTDOWN_DELAY_MS: '1500' } });
  const [server] = stack.servers;
  if (server === undefined) throw new Error('there is no server');
  const client = await new Client(stack.url, stack.jwtSecret).load();
  t.equal((await client.call('GET', '/readyz')).status, 200);

  const text = JSON.stringify({ items: [['a', 'b']] });
  const slow = connect(stack.port, '127.0.0.1');
  let answer = '';
  slow.on('data', (chunk) => (answer += chunk.toString()));
  const closed = new Promise((resolve) => slow.once('close', resolve));
  await new Promise((resolve) => slow.once('connect', resolve));
  slow.write(
    `POST /v1/stock/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text.slice(0, 5)}`,
  );
  await new Promise((resolve) => setTimeout(resolve, 100));

  server.kill('SIGTERM');
  let readiness = await client.call('GET', '/readyz');
  for (let tries = 0; tries < 100 && readiness.status === 200; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    readiness = await client.call('GET', '/readyz');
  }
  t.match(readiness, { status: 503, body: { ready: false, draining: true } }, 'readiness goes off first');
  t.equal(readiness.headers.get('connection'), 'close');
  t.equal((await client.call('GET', '/livez')).status, 200, 'while requests are still answered');

  await refused(stack.port);
  t.ok(server.running, 'the port is closed, the process waits for what it has begun');
  slow.write(text.slice(5));
  await closed;
  t.match(answer, /^HTTP\/1\.1 200 /, 'what was begun is finished');
  t.match(answer, /"code":"sku_not_found"/);
  t.match(await server.exited, { code: 0, signal: null });
});

/** Waits until nobody listens any more. */
async function refused(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (!open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the port stays open');
}

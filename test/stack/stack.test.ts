import t from 'tap';
import { startStack } from '../harness/index.js';

t.test(
  'a whole stack sells, also after its worker, its server and a Redis node were killed and started again',
  async (t) => {
    const stack = await startStack();
    const admin = { ...(await stack.authorization('admin')), 'content-type': 'application/json' };
    const call = async (method: string, path: string, body: unknown, headers: Record<string, string> = admin) => {
      const response = await fetch(`${stack.url}${path}`, { method, headers, body: JSON.stringify(body) });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    await call('PUT', '/v1/stock/berlin/mug', {});
    t.match(await call('POST', '/v1/stock/berlin/mug/restock', { quantity: 10 }), {
      status: 200,
      body: { available: 10 },
    });

    const [server] = stack.servers;
    const [worker] = stack.workers;
    const node = stack.redis!.nodes[0]!;
    server!.kill('SIGKILL');
    worker!.kill('SIGKILL');
    node.kill('SIGKILL');
    await Promise.all([server!.exited, worker!.exited, node.exited]);
    t.notOk(server!.running || worker!.running || node.running, 'nothing starts by itself');
    await node.restart();
    await stack.redis!.healthy();
    await stack.startApps();

    const buyer = { ...(await stack.authorization('buyer', 'b1')), 'content-type': 'application/json' };
    const lines = [{ location: 'berlin', sku: 'mug', quantity: 3 }];
    t.match(await call('POST', '/v1/reservations', { lines }, buyer), { status: 201, body: { status: 'held' } });
    const seen = await fetch(`${stack.url}/v1/stock/berlin/mug?fresh=true`);
    t.match(await seen.json(), { available: 7, reserved: 3 });
  },
);

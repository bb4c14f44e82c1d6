import type { ConnectionOptions } from 'node:tls';
import { Redis } from 'ioredis';

/** What a node says of itself and of the others, from CLUSTER NODES. */
export interface NodeView {
  id: string;
  port: number;
  role: 'master' | 'replica';
  /** Id of its master, for a replica. */
  masterId?: string;
  connected: boolean;
  failed: boolean;
  /** Number of slots it serves. */
  slots: number;
}

export interface NodePorts {
  port: number;
  /** Where the nodes talk to each other. */
  busPort: number;
}

const SLOTS = 16_384;

/** How to reach nodes that do not let everybody in. */
export interface AdminAccess {
  readonly username?: string;
  readonly password?: string;
  readonly tls?: ConnectionOptions;
}

/** A connection for set-up only: no retries of its own, every command bounded. */
export function adminClient(port: number, host = '127.0.0.1', access: AdminAccess = {}): Redis {
  const client = new Redis({
    ...access,
    host,
    port,
    lazyConnect: true,
    connectTimeout: 2_000,
    commandTimeout: 5_000,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: () => null,
  });
  // Failures are seen by whoever awaits the command; without a listener ioredis prints them as well.
  client.on('error', () => undefined);
  return client;
}

/** Runs `work` with a fresh connection and closes it whatever happens. */
export async function withAdmin<T>(
  port: number,
  work: (client: Redis) => Promise<T>,
  access?: AdminAccess,
): Promise<T> {
  const client = adminClient(port, undefined, access);
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

export function parseNodes(text: string): NodeView[] {
  const nodes: NodeView[] = [];
  for (const line of text.split('\n')) {
    const [id, address, flags, masterId, , , , link, ...ranges] = line.trim().split(' ');
    if (!id || !address || !flags || masterId === undefined) continue;
    const port = Number(/:(\d+)@/.exec(address)?.[1]);
    const slots = ranges
      .filter((range) => !range.startsWith('['))
      .reduce((sum, range) => {
        const [from, to = from] = range.split('-').map(Number);
        return sum + (to! - from! + 1);
      }, 0);
    nodes.push({
      id,
      port,
      role: flags.includes('master') ? 'master' : 'replica',
      masterId: masterId === '-' ? undefined : masterId,
      connected: link === 'connected',
      failed: /fail|handshake|noaddr/.test(flags),
      slots,
    });
  }
  return nodes;
}

export async function viewFrom(port: number, access?: AdminAccess): Promise<NodeView[]> {
  return withAdmin(port, async (client) => parseNodes((await client.cluster('NODES')) as string), access);
}

/** Calls `check` until it answers undefined; throws with its last answer when `timeoutMs` is over. */
export async function until(what: string, timeoutMs: number, check: () => Promise<string | undefined>): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let problem: string | undefined;
    try {
      problem = await check();
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    if (problem === undefined) return;
    if (Date.now() >= deadline) throw new Error(`${what} after ${Math.round(timeoutMs / 1000)} s: ${problem}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Makes one cluster out of fresh nodes: the first `masters` nodes share the slots equally and in order, the others become
 * replicas in turn (the first replica of each master, then the second …).
 */
export async function formCluster(nodes: readonly NodePorts[], masters: number, access?: AdminAccess): Promise<void> {
  const clients = nodes.map(({ port }) => adminClient(port, undefined, access));
  try {
    await Promise.all(clients.map((client) => client.connect()));
    const ids = await Promise.all(clients.map(async (client) => (await client.call('CLUSTER', 'MYID')) as string));
    for (let i = 0; i < masters; i++) {
      const from = Math.floor((i * SLOTS) / masters);
      const to = Math.floor(((i + 1) * SLOTS) / masters) - 1;
      await clients[i]!.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
    }
    // Different epochs from the start: otherwise the nodes settle the collision among themselves while we wait.
    await Promise.all(clients.map((client, i) => client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)));
    // Everyone meets everyone, so that nobody has to wait for gossip.
    for (let i = 0; i < nodes.length; i++)
      for (let j = i + 1; j < nodes.length; j++)
        await clients[i]!.call('CLUSTER', 'MEET', '127.0.0.1', nodes[j]!.port, nodes[j]!.busPort);
    await until('The Redis nodes do not all know each other', 30_000, async () => {
      for (const client of clients) {
        const known = parseNodes((await client.cluster('NODES')) as string).filter(
          (node) => node.connected && !node.failed,
        );
        if (known.length !== nodes.length) return `${known.length} of ${nodes.length} known`;
      }
      return undefined;
    });
    for (let i = masters; i < nodes.length; i++)
      await clients[i]!.call('CLUSTER', 'REPLICATE', ids[(i - masters) % masters]!);
    await settleShards(clients, masters);
  } finally {
    for (const client of clients) client.disconnect();
  }
}

/**
 * Valkey 8.0 calls its own nodes.conf corrupt when it was killed before a replica had heard its master's shard id. So wait until
 * every node counts as many shards as there are masters, and write that down.
 */
async function settleShards(clients: readonly Redis[], masters: number): Promise<void> {
  await until('The Redis nodes do not agree on their shards', 30_000, async () => {
    for (const client of clients) {
      const shards = (await client.call('CLUSTER', 'SHARDS')) as unknown[];
      if (shards.length !== masters) return `${shards.length} shards instead of ${masters}`;
    }
    return undefined;
  });
  await Promise.all(clients.map((client) => client.call('CLUSTER', 'SAVECONFIG')));
}

/**
 * Resolves when every node agrees that the cluster serves all slots and each replica follows its master.
 * Replicas that a failover left without a master that runs would never get there: the timeout says which.
 */
export async function waitHealthy(ports: readonly number[], timeoutMs = 60_000, access?: AdminAccess): Promise<void> {
  await until('The Redis cluster is not ready', timeoutMs, async () => {
    for (const port of ports) {
      const problem = await withAdmin(port, (client) => healthProblem(client, ports.length), access);
      if (problem) return `port ${port}: ${problem}`;
    }
    return undefined;
  });
}

async function healthProblem(client: Redis, expected: number): Promise<string | undefined> {
  const info = await client.cluster('INFO');
  if (!info.includes('cluster_state:ok')) return 'cluster_state is not ok';
  if (!info.includes(`cluster_slots_ok:${SLOTS}`)) return 'not every slot is served';
  const nodes = parseNodes((await client.cluster('NODES')) as string);
  if (nodes.length !== expected) return `knows ${nodes.length} of ${expected} nodes`;
  const bad = nodes.find((node) => node.failed || !node.connected);
  if (bad) return `no link to port ${bad.port}`;
  const replication = await client.info('replication');
  if (replication.includes('role:slave') && !replication.includes('master_link_status:up'))
    return 'replica is not in step';
  if (replication.includes('role:master')) {
    const self = nodes.find((node) => node.port === client.options.port);
    const following = nodes.filter((node) => node.masterId === self?.id).length;
    const online = (replication.match(/state=online/g) ?? []).length;
    if (online < following) return `${online} of ${following} replicas are online`;
  }
  return undefined;
}

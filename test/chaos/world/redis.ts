/** The Redis Cluster of a run, every node behind two proxies that it announces as itself. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type RedisCluster,
  type RedisNode,
  type RestartOptions,
  startRedisCluster,
} from '../../../stack/redis-cluster.js';
import { until, withAdmin } from '../../../stack/redis-form.js';
import { PortTaken } from '../../../stack/redis-node.js';
import type { RedisPart, SeenNode } from '../world.js';
import { type Link, startLink } from './link.js';
import { whilePortTaken } from './port-taken.js';

/** The node's own file with what it announces; a wildcard, because on the first start there is none. */
const ANNOUNCE = 'announce.*conf';
const SLOTS = 16_384;

export interface RedisOptions {
  readonly dir: string;
  readonly conf: Record<string, string>;
  readonly masters: number;
  readonly replicasPerMaster: number;
  /** Without: nodes announce themselves, and links are there but nobody passes them. */
  readonly proxied: boolean;
}

export interface RedisParts {
  readonly cluster: RedisCluster;
  readonly parts: readonly RedisPart[];
  view(): Promise<SeenNode[]>;
  healthy(timeoutMs: number): Promise<void>;
  stop(): Promise<void>;
}

class Part implements RedisPart {
  constructor(
    readonly name: string,
    readonly id: string,
    readonly node: RedisNode,
    readonly client: Link,
    readonly bus: Link,
  ) {}

  get pid(): number {
    return this.node.pid;
  }
  get running(): boolean {
    return this.node.running;
  }
  get port(): number {
    return this.node.port;
  }
  get dir(): string {
    return this.node.dir;
  }
  get exited(): Promise<unknown> {
    return this.node.exited;
  }
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.node.kill(signal);
  }
  async restart(options?: RestartOptions): Promise<void> {
    return whilePortTaken(
      () => this.node.restart(options),
      (error) => error instanceof PortTaken,
    );
  }
}

export async function startRedis(options: RedisOptions): Promise<RedisParts> {
  const { masters, replicasPerMaster } = options;
  const conf = { ...options.conf, include: ANNOUNCE };
  const cluster = await startRedisCluster({ dir: options.dir, conf, masters, replicasPerMaster, disposable: true });
  const parts: Part[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(parts.flatMap(({ client, bus }) => [client.close(), bus.close()]));
    await cluster.stop();
  };
  try {
    for (const [index, node] of cluster.nodes.entries()) {
      const client = await startLink(node.port);
      const busPort = await withAdmin(node.port, async (redis) =>
        Number(((await redis.config('GET', 'cluster-port')) as string[])[1]),
      );
      const bus = await startLink(busPort);
      parts.push(new Part(`redis-${index + 1}`, node.id, node, client, bus));
    }
    if (options.proxied) await Promise.all(parts.map(announce));
    const view = (): Promise<SeenNode[]> => viewOf(parts);
    const healthy = (timeoutMs: number): Promise<void> =>
      until('The Redis cluster is not healthy', timeoutMs, () => problemOf(parts, options.proxied));
    await healthy(60_000);
    return { cluster, parts, view, healthy, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function announce({ node, client, bus }: Part): Promise<void> {
  const lines = [`cluster-announce-port ${client.port}`, `cluster-announce-bus-port ${bus.port}`];
  writeFileSync(join(node.dir, 'announce.conf'), `${lines.join('\n')}\n`);
  await withAdmin(node.port, async (redis) => {
    await redis.config('SET', 'cluster-announce-port', client.port);
    await redis.config('SET', 'cluster-announce-bus-port', bus.port);
  });
}

interface Line {
  readonly id: string;
  readonly port: number;
  readonly flags: string;
  readonly masterId: string;
  readonly epoch: number;
  readonly connected: boolean;
  readonly slots: readonly (readonly [number, number])[];
}

/** CLUSTER NODES as one node has it. */
async function linesOf(port: number): Promise<Line[]> {
  const text = await withAdmin(port, async (redis) => (await redis.cluster('NODES')) as string);
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [id, address, flags, masterId, , , epoch, link, ...ranges] = line.trim().split(' ');
      return {
        id: id!,
        port: Number(/:(\d+)@/.exec(address!)?.[1] ?? 0),
        flags: flags!,
        masterId: masterId!,
        epoch: Number(epoch),
        connected: link === 'connected',
        slots: ranges
          .filter((range) => !range.startsWith('['))
          .map((range) => range.split('-').map(Number))
          .map(([from, to = from]) => [from!, to!] as const),
      };
    });
}

async function answering(parts: readonly Part[]): Promise<Line[][]> {
  const all = await Promise.allSettled(parts.filter(({ running }) => running).map(({ port }) => linesOf(port)));
  return all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/** What most of the nodes say of each: nodes that are cut off have an old view. */
async function viewOf(parts: readonly Part[]): Promise<SeenNode[]> {
  const views = await answering(parts);
  if (views.length === 0) throw new Error('no Redis node answers');
  return parts.map((node) => {
    const votes = new Map<string, { count: number; line: Line }>();
    for (const view of views) {
      const line = view.find(({ id }) => id === node.id);
      if (!line) continue;
      const key = JSON.stringify([
        line.flags.includes('master'),
        /\bfail\b/.test(line.flags.replace('fail?', '')),
        line.masterId,
        line.slots,
      ]);
      const vote = votes.get(key) ?? { count: 0, line };
      vote.count++;
      votes.set(key, vote);
    }
    const [best] = [...votes.values()].sort((a, b) => b.count - a.count || b.line.epoch - a.line.epoch);
    if (!best) return { node, role: 'replica', failed: true, slots: [] };
    const { flags, masterId, slots } = best.line;
    return {
      node,
      role: flags.includes('master') ? 'master' : 'replica',
      master: parts.find(({ id }) => id === masterId),
      failed: flags.replace('fail?', '').includes('fail'),
      slots,
    };
  });
}

async function problemOf(parts: readonly Part[], proxied: boolean): Promise<string | undefined> {
  for (const part of parts) {
    if (!part.running) return `${part.name} does not run`;
    const lines = await linesOf(part.port);
    if (lines.length !== parts.length) return `${part.name} knows ${lines.length} of ${parts.length} nodes`;
    for (const line of lines) {
      const of = parts.find(({ id }) => id === line.id);
      if (!of) return `${part.name} knows a node that is none of ours`;
      if (/fail|handshake|noaddr/.test(line.flags) || !line.connected) return `${part.name} has no link to ${of.name}`;
      if (proxied && line.port !== of.client.port) return `${part.name} does not know the proxy of ${of.name} yet`;
    }
    const served = lines.flatMap(({ slots }) => slots).reduce((sum, [from, to]) => sum + to - from + 1, 0);
    if (served !== SLOTS) return `${part.name} sees ${served} slots served`;
    const problem = await replicationProblem(part, lines);
    if (problem) return `${part.name}: ${problem}`;
  }
  return undefined;
}

async function replicationProblem(part: Part, lines: readonly Line[]): Promise<string | undefined> {
  return withAdmin(part.port, async (redis) => {
    const info = await redis.info('replication');
    if (!(await redis.cluster('INFO')).includes('cluster_state:ok')) return 'cluster_state is not ok';
    if (info.includes('role:slave'))
      return info.includes('master_link_status:up') ? undefined : 'replica is not in step';
    const following = lines.filter(({ masterId }) => masterId === part.id).length;
    const online = (info.match(/state=online/g) ?? []).length;
    return online < following ? `${online} of ${following} replicas are online` : undefined;
  });
}

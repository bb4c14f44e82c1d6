/** Reads what a node says of the cluster: CLUSTER NODES for roles, slots and epochs, CLUSTER SHARDS for addresses. */
import type { Endpoint } from './address.js';
import type { Reply } from './connection.js';

export interface NodeView {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly master: boolean;
  readonly masterId: string;
  readonly configEpoch: number;
  /** The node that was asked. */
  readonly myself: boolean;
  /** Told never to take over by itself (`cluster-replica-no-failover`). */
  readonly noFailover: boolean;
  /** As the asked node sees it: reachable and not suspected. */
  readonly online: boolean;
  /** Confirmed failed by a majority. */
  readonly failed: boolean;
  /** Served slots as pairs first, last. */
  readonly slots: readonly number[];
}

/** `asked` stands in where a node does not know its own address. Nodes without any address are left out. */
export function parseNodes(text: string, asked: Endpoint): NodeView[] {
  const nodes: NodeView[] = [];
  for (const line of text.split('\n')) {
    const [id, address, flagText, masterId, , , epoch, link, ...ranges] = line.trim().split(' ');
    if (!id || !address || !flagText || !masterId) continue;
    const flags = flagText.split(',');
    if (flags.includes('handshake')) continue;
    const myself = flags.includes('myself');
    const at = address.split('@')[0]!;
    const colon = at.lastIndexOf(':');
    const host = at.slice(0, colon) || (myself ? asked.host : '');
    const port = Number(at.slice(colon + 1)) || (myself ? asked.port : 0);
    if (flags.includes('noaddr') || !host || !port) continue;
    const slots: number[] = [];
    for (const range of ranges) {
      // [slot->-node] and [slot-<-node]: a slot on its way; it is still served where it was.
      if (range.startsWith('[')) continue;
      const [first, last = first] = range.split('-').map(Number);
      if (Number.isInteger(first) && Number.isInteger(last)) slots.push(first!, last!);
    }
    nodes.push({
      id,
      endpoint: { host, port },
      master: flags.includes('master'),
      masterId: masterId === '-' ? '' : masterId,
      configEpoch: Number(epoch) || 0,
      myself,
      noFailover: flags.includes('nofailover'),
      online: (myself || link === 'connected') && !flags.includes('fail') && !flags.includes('fail?'),
      failed: flags.includes('fail'),
      slots,
    });
  }
  return nodes;
}

/** Preferred addresses by node id (host names, for instance). Empty and unknown ones are left out. */
export function parseShardEndpoints(reply: Reply | Error, tls: boolean): Map<string, Endpoint> {
  const endpoints = new Map<string, Endpoint>();
  if (!Array.isArray(reply)) return endpoints;
  for (const shard of reply) {
    const nodes = fieldsOf(shard).get('nodes');
    if (!Array.isArray(nodes)) continue;
    for (const node of nodes) {
      const fields = fieldsOf(node);
      const id = textOf(fields.get('id'));
      const host = textOf(fields.get('endpoint'));
      const port = Number(textOf(fields.get(tls ? 'tls-port' : 'port')));
      if (id && host && host !== '?' && port) endpoints.set(id, { host, port });
    }
  }
  return endpoints;
}

function fieldsOf(reply: Reply): Map<string, Reply> {
  const fields = new Map<string, Reply>();
  if (Array.isArray(reply)) for (let i = 0; i + 1 < reply.length; i += 2) fields.set(textOf(reply[i]), reply[i + 1]!);
  return fields;
}

export function textOf(reply: Reply | Error | undefined): string {
  if (Buffer.isBuffer(reply)) return reply.toString();
  return typeof reply === 'number' ? String(reply) : '';
}

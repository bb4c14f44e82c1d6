/** What the replicas of a master that is gone say, and which of them may be asked to take over. */
import type { Endpoint } from '../redis/address.js';
import { Connection, type ConnectionSettings } from '../redis/connection.js';
import { parseNodes, textOf } from '../redis/nodes.js';

const REPLY_TIMEOUT_MS = 1_000;
/** Node timeouts are not told; this long is Redis' default, 15 s. */
const NODE_TIMEOUT_SECONDS = 15;
/** Masters vote about the same master once in so long. */
const VOTE_SECONDS = 2 * NODE_TIMEOUT_SECONDS;
/** A process holds elections so far apart. */
export const ELECTION_SECONDS = 4 * NODE_TIMEOUT_SECONDS;

/** Where a node stood in its replication history. Offsets compare within one history only. */
export interface Stand {
  readonly replicationId: string;
  readonly offset: number;
}

export interface Heir extends Stand {
  readonly id: string;
  /** Empty: it is a master. */
  readonly masterId: string;
  /** Of its process, in whole seconds. */
  readonly uptimeSeconds: number;
  /** Its link to the master stands: the master lives, whatever we see. */
  readonly following: boolean;
  /** It is being copied to, so what it has is no whole. */
  readonly copying: boolean;
  /** `cluster-replica-no-failover`: a forced failover would pass over that. */
  readonly barred: boolean;
  /** The cluster has agreed that the master failed: its own election is under way. */
  readonly masterFailed: boolean;
  /** Masters that could vote for it, and how many have to. */
  readonly voters: number;
  readonly quorum: number;
}

export interface Asked {
  readonly heir: Heir;
  readonly connection: Connection;
}

/** Refused by the other machine: nobody listens there. Not what a link does that is cut, nor a process that hangs. */
export function isRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // A name may stand for several addresses.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isRefused);
  return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' || isRefused(error.cause);
}

/**
 * Asks a replica how it stands; undefined: it is gone as well. The caller closes the connection.
 * @throws Error when it does not answer
 */
export async function askHeir(endpoint: Endpoint, settings: ConnectionSettings): Promise<Asked | undefined> {
  let connection: Connection;
  try {
    connection = await Connection.open(endpoint, settings);
  } catch (error) {
    if (isRefused(error)) return undefined;
    throw error;
  }
  try {
    const replies = await connection.all(
      [
        ['CLUSTER', 'NODES'],
        ['INFO', 'replication'],
        ['INFO', 'server'],
      ],
      REPLY_TIMEOUT_MS,
    );
    const [nodes, ...info] = replies.map((reply) => {
      if (reply instanceof Error) throw reply;
      return textOf(reply);
    });
    return { heir: readHeir(nodes!, info.join('\n'), endpoint), connection };
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** From CLUSTER NODES and INFO (replication, server) of the node at `endpoint`. @throws Error when it does not find itself */
export function readHeir(clusterNodes: string, info: string, endpoint: Endpoint): Heir {
  const nodes = parseNodes(clusterNodes, endpoint);
  const self = nodes.find(({ myself }) => myself);
  if (!self) throw new Error('the node does not name itself');
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const voting = nodes.filter(({ master, slots }) => master && slots.length > 0);
  return {
    id: self.id,
    masterId: self.master ? '' : self.masterId,
    replicationId: field('master_replid'),
    offset: Number(field('slave_repl_offset')) || 0,
    uptimeSeconds: Number(field('uptime_in_seconds')) || 0,
    following: field('master_link_status') === 'up',
    copying: field('master_sync_in_progress') !== '0',
    barred: self.noFailover,
    masterFailed: nodes.some(({ id, failed }) => id === self.masterId && failed),
    voters: voting.filter(({ id, online }) => online && id !== self.masterId).length,
    quorum: Math.floor(voting.length / 2) + 1,
  };
}

/**
 * The replica that should take over, or why none is asked: then it is left to Redis' own election. Undefined: they are no longer
 * its replicas, so somebody has taken over. Everybody who asks the same replicas chooses the same: two candidates could split the
 * votes, and then nobody is elected for four node timeouts.
 * @param known where the master stood a moment before it was last heard of
 * @param replaced seconds since nodes were last replaced as masters, by id
 */
export function chooseHeir(
  masterId: string,
  known: Stand,
  heirs: readonly Heir[],
  replaced: ReadonlyMap<string, number>,
): Heir | string | undefined {
  if (heirs.some((heir) => heir.masterId !== masterId)) return undefined;
  if (heirs.some(({ following }) => following)) return 'a replica still follows it';
  if (heirs.some(({ masterFailed }) => masterFailed)) return 'the cluster elects a replica by itself';
  const [best] = [...heirs].sort((a, b) => b.offset - a.offset || (a.id < b.id ? -1 : 1));
  if (!best) return 'it has no replica that runs';
  if (best.copying) return 'its replica was being copied to';
  if (best.barred) return 'its replica is not to take over (cluster-replica-no-failover)';
  if (best.replicationId !== known.replicationId || best.offset < known.offset)
    return 'its replica lacks what the master had when it was last heard of';
  if (best.voters < best.quorum) return `${best.voters} masters can vote, ${best.quorum} have to`;
  // A vote that is lost now would only be in the way of the cluster's own.
  const [master = Infinity, heir = Infinity] = [replaced.get(masterId), replaced.get(best.id)];
  if (master < VOTE_SECONDS || (heir < ELECTION_SECONDS && best.uptimeSeconds >= heir))
    return 'it was replaced a moment ago';
  return best;
}

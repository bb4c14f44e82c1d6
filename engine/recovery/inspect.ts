/** Looks at a node: who it is, which life it is in, whether it has the scripts, and which partitions are open on it. */
import type { Keys } from '../keys.js';
import type { Connection } from '../redis/connection.js';
import type { Link } from '../redis/link.js';
import { textOf } from '../redis/nodes.js';
import type { ScriptSet } from '../scripts/loading.js';

export const COMMAND_TIMEOUT_MS = 2_000;

export interface NodeLife {
  readonly node: string;
  /** Run id of the server process. */
  readonly run: string;
}

export interface Inspection extends NodeLife {
  readonly connection: Connection;
  /** All working scripts are loaded. */
  readonly scripts: boolean;
  /** Opened in this life of the node. */
  readonly open: readonly number[];
  /** Served here, not open. */
  readonly closed: readonly number[];
}

/** A connection ends with the process it reaches, so what it said of itself stays true. */
const lives = new WeakMap<Connection, NodeLife>();

async function lifeOf(connection: Connection): Promise<NodeLife> {
  const known = lives.get(connection);
  if (known) return known;
  const [node, info] = await connection.all(
    [
      ['CLUSTER', 'MYID'],
      ['INFO', 'server'],
    ],
    COMMAND_TIMEOUT_MS,
  );
  if (node instanceof Error) throw node;
  if (info instanceof Error) throw info;
  const run = /run_id:(\w+)/.exec(textOf(info))?.[1];
  if (!run) throw new Error('the node does not tell its run id');
  const life = { node: textOf(node), run };
  lives.set(connection, life);
  return life;
}

/** @throws Error when the node cannot be asked, or is not the one the topology says. */
export async function inspect(link: Link, keys: Keys, scripts: ScriptSet): Promise<Inspection> {
  const connection = await link.controlConnection();
  const life = await lifeOf(connection);
  if (life.node !== link.master.id) throw new Error(`expected node ${link.master.id}, found ${life.node}`);
  const { partitions } = link.master;
  const [exist, ...metas] = await connection.all(
    [
      ['SCRIPT', 'EXISTS', ...scripts.working.map(({ sha1 }) => sha1)],
      ...partitions.map((partition) => ['HMGET', keys.fixed('meta', partition), 'owner', 'run']),
    ],
    COMMAND_TIMEOUT_MS,
  );
  if (!Array.isArray(exist)) throw exist instanceof Error ? exist : new Error('SCRIPT EXISTS was not answered');
  const open: number[] = [];
  const closed: number[] = [];
  for (const [index, meta] of metas.entries()) {
    // MOVED and the like: another node's business now.
    if (!Array.isArray(meta)) continue;
    const isOpen = textOf(meta[0]) === life.node && textOf(meta[1]) === life.run;
    (isOpen ? open : closed).push(partitions[index]!);
  }
  return { ...life, connection, scripts: exist.every((one) => one === 1), open, closed };
}

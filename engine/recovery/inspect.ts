/** Looks at a node: who it is, which life it is in, whether it has the scripts, and which partitions are open on it. */
import type { Keys } from '../keys.js';
import type { Connection } from '../redis/connection.js';
import type { Link } from '../redis/link.js';
import { textOf } from '../redis/nodes.js';
import type { ScriptSet } from '../scripts/loading.js';
import type { Stand } from './heirs.js';
import type { Past } from './reversals.js';

export const COMMAND_TIMEOUT_MS = 2_000;

const META_FIELDS = ['owner', 'run', 'persistence', 'persisted', 'openings', 'epoch'];

export interface NodeLife {
  readonly node: string;
  /** Run id of the server process and its replication id: the first changes with a restart, the second with a promotion. */
  readonly run: string;
}

export interface Inspection extends NodeLife, Stand {
  readonly connection: Connection;
  /** All working scripts are loaded. */
  readonly scripts: boolean;
  /** Opened in this life of the node. */
  readonly open: readonly number[];
  /** Of the open ones. */
  readonly pasts: ReadonlyMap<number, Past>;
  readonly epochs: ReadonlyMap<number, number>;
  /** Served here, not open. */
  readonly closed: readonly number[];
}

/** A connection ends with the process it reaches, so that process' run id stays true. */
const runIds = new WeakMap<Connection, string>();

async function runIdOf(connection: Connection): Promise<string> {
  const known = runIds.get(connection);
  if (known) return known;
  const info = await connection.run(['INFO', 'server'], COMMAND_TIMEOUT_MS);
  const run = /run_id:(\w+)/.exec(textOf(info))?.[1];
  if (!run) throw new Error('the node does not tell its run id');
  runIds.set(connection, run);
  return run;
}

/** @throws Error when the node cannot be asked, is no master, or is not the one the topology says. */
export async function inspect(link: Link, keys: Keys, scripts: ScriptSet): Promise<Inspection> {
  const connection = await link.controlConnection();
  const runId = await runIdOf(connection);
  const { partitions } = link.master;
  const [id, replication, exist, ...metas] = await connection.all(
    [
      ['CLUSTER', 'MYID'],
      ['INFO', 'replication'],
      ['SCRIPT', 'EXISTS', ...scripts.working.map(({ sha1 }) => sha1)],
      ...partitions.map((partition) => ['HMGET', keys.fixed('meta', partition), ...META_FIELDS]),
    ],
    COMMAND_TIMEOUT_MS,
  );
  const node = textOf(id);
  const role = textOf(replication);
  const replicationId = /master_replid:(\w+)/.exec(role)?.[1];
  if (node !== link.master.id) throw new Error(`expected node ${link.master.id}, found ${node}`);
  if (!role.includes('role:master') || !replicationId) throw new Error('the node is no master');
  if (!Array.isArray(exist)) throw exist instanceof Error ? exist : new Error('SCRIPT EXISTS was not answered');
  const life: NodeLife = { node, run: `${runId}-${replicationId}` };
  const offset = Number(/master_repl_offset:(\d+)/.exec(role)?.[1] ?? 0);
  const open: number[] = [];
  const pasts = new Map<number, Past>();
  const epochs = new Map<number, number>();
  const closed: number[] = [];
  for (const [index, meta] of metas.entries()) {
    // MOVED and the like: another node's business now.
    if (!Array.isArray(meta)) continue;
    const isOpen = textOf(meta[0]) === life.node && textOf(meta[1]) === life.run;
    (isOpen ? open : closed).push(partitions[index]!);
    if (!isOpen) continue;
    epochs.set(partitions[index]!, Number(textOf(meta[5])));
    pasts.set(partitions[index]!, {
      persistence: textOf(meta[2]),
      persisted: textOf(meta[3]),
      openings: textOf(meta[4]),
    });
  }
  const hasScripts = exist.every((one) => one === 1);
  return { ...life, replicationId, offset, connection, scripts: hasScripts, open, pasts, epochs, closed };
}

/**
 * Tables of the scripts that recovery and workers call. Like those of the other scripts, but for partitions that may be closed, whose
 * `meta` and log are the subject.
 */
import t, { type Test } from 'tap';
import { type StatusName, statuses } from '../../engine/scripts/generated/statuses.js';
import type { DecodedReply, Script } from '../../engine/scripts/script.js';
import { changedKeys, ScriptCluster, type ScriptPartition } from '../support/scripts.js';

export type MetaFields = Record<string, string | number>;

export interface PartitionRow<Args, Op, R> {
  readonly status: StatusName;
  readonly name: string;
  /** `node` stands for the id of the node that serves the partition. */
  readonly meta: (node: string) => MetaFields;
  readonly prepare?: (partition: ScriptPartition) => Promise<void>;
  readonly args: (node: string) => Args;
  readonly ops?: readonly Op[];
  /** The answer of a row, without it the call itself refuses; a row that says nothing of what follows must change nothing. */
  readonly answer?: R | readonly R[];
  readonly after?: (t: Test, partition: ScriptPartition, reply: DecodedReply<R>) => Promise<unknown>;
}

const PARTITION = 7;

export function partitionTable<Args, Op, R extends { readonly status: StatusName }>(
  script: Script<Args, Op, R>,
  rows: readonly PartitionRow<Args, Op, R>[],
): void {
  void t.test(script.name, async (t) => {
    const cluster = await ScriptCluster.open();
    const partition = cluster.partition(PARTITION);
    const told = new Set(rows.map(({ status }) => status));
    t.same(
      script.statuses.filter((status) => !told.has(status)),
      [],
      'every status of the header has a row',
    );
    for (const row of rows) await t.test(`${row.status}: ${row.name}`, (t) => runRow(t, partition, script, row));
  });
}

async function runRow<Args, Op, R extends { readonly status: StatusName }>(
  t: Test,
  partition: ScriptPartition,
  script: Script<Args, Op, R>,
  row: PartitionRow<Args, Op, R>,
): Promise<void> {
  await partition.wipe();
  const meta = row.meta(partition.node.id);
  if (Object.keys(meta).length > 0) await partition.node.client.hset(partition.key('meta'), meta);
  await row.prepare?.(partition);
  const before = await partition.snapshot();
  const reply = await partition.call(script, row.args(partition.node.id), row.ops);
  if (row.answer === undefined) t.equal(reply.callStatus, statuses[row.status].number, 'the call is refused');
  else {
    t.equal(reply.callStatus, 0, 'the call ran');
    t.strictSame(reply.rows, Array.isArray(row.answer) ? row.answer : [row.answer]);
    t.ok(reply.rows.some(({ status }) => status === row.status));
  }
  if (row.after) await row.after(t, partition, reply);
  else t.same(changedKeys(before, await partition.snapshot()), [], 'every byte as it was');
}

export async function metaOf(partition: ScriptPartition): Promise<Record<string, string>> {
  return partition.node.client.hgetall(partition.key('meta'));
}

/** Log entries `epoch-seq`, whatever is in them. */
export const logged =
  (...ids: string[]) =>
  async (partition: ScriptPartition): Promise<void> => {
    for (const id of ids) await partition.node.client.xadd(partition.key('log'), id, 'e', 'x');
  };

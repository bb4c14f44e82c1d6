/**
 * Runs a workload with many calls in flight and checks it. Every call is one transaction of INCR and EVALSHA: the number says at which
 * place among the partition's calls Redis carried it out, however its answer came back.
 */
import { type Redis } from 'ioredis';
import * as bindings from '../../engine/scripts/generated/index.js';
import { encodeCall, type ReplyValue, type ScriptInfo } from '../../engine/scripts/script.js';
import { connect, type ScriptCluster, type ScriptPartition } from '../support/scripts.js';
import { type AnyScript, Checker, Disagreement } from './checker.js';
import { SCRIPT_NAMES, type ScriptName } from './oracle.js';
import { type Row } from './rule.js';
import { shrink } from './shrink.js';
import { beginning, type DraftCall, draftCalls, Scene } from './workload.js';

export interface RunOptions {
  readonly seed: number;
  readonly operations: number;
  readonly partitions: number;
  readonly clients: number;
  /** The run is stretched to this, so that holds expire and claims can be taken over within it. */
  readonly seconds: number;
  /** Scripts to run instead of the generated ones. */
  readonly instead?: ReadonlyMap<ScriptName, AnyScript>;
  /** false: do not look for the few operations that make a disagreement. */
  readonly shrink?: boolean;
}
export interface RunResult {
  readonly operations: number;
  readonly calls: number;
  /** Most calls that were in flight at once on one partition. */
  readonly inFlight: number;
  /** `script status` → how often */
  readonly seen: ReadonlyMap<string, number>;
}

const ALL = Object.values(bindings as Record<string, unknown>);
const SCRIPTS = new Map(
  SCRIPT_NAMES.map((name) => [name, ALL.find((it) => (it as ScriptInfo | undefined)?.name === name) as AnyScript]),
);

/** One partition of a run. */
export class Stage {
  readonly scene = new Scene();
  inFlight = 0;
  mostInFlight = 0;

  private constructor(
    readonly partition: ScriptPartition,
    readonly checker: Checker,
    private readonly orderKey: string,
    private readonly scripts: ReadonlyMap<ScriptName, AnyScript>,
  ) {}

  static async set(partition: ScriptPartition, instead?: ReadonlyMap<ScriptName, AnyScript>): Promise<Stage> {
    await partition.fill(beginning(Date.now()));
    const orderKey = partition.key('meta').replace(/meta$/, 'order');
    const stage: Stage = new Stage(
      partition,
      new Checker(partition, await partition.world(), [orderKey], (...learned) => stage.learn(...learned)),
      orderKey,
      new Map([...SCRIPTS, ...(instead ?? [])]),
    );
    return stage;
  }

  /** @throws Disagreement as soon as one shows. */
  async call(client: Redis, name: ScriptName, ops: readonly object[]): Promise<readonly ReplyValue[] | Error> {
    const script = this.scripts.get(name)!;
    const { items, argv } = encodeCall(script, script.vectorised ? {} : ops[0]!, script.vectorised ? ops : []);
    const keys = this.partition.keysOf(script, items);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    const replies = await client
      .multi()
      .incr(this.orderKey)
      .call('EVALSHA', script.sha1, keys.length, ...keys, ...argv)
      .exec()
      .finally(() => this.inFlight--);
    const [[, order], [error, reply]] = replies as [[null, number], [Error | null, ReplyValue[]]];
    // The bindings' rows are checked one by one: a script without operations answers one row.
    this.checker.take(order, { name, script, ops, reply: error ?? reply });
    return error ?? reply;
  }

  private learn(name: ScriptName, ops: readonly object[], rows: readonly Row[]): void {
    for (const [i, row] of rows.entries()) {
      if (name === 'stock/due' && row.status === 'ok')
        this.scene.members = String(row.members)
          .split('\n')
          .filter((member) => member !== '');
      if (name === 'claims/open' && typeof row.attempt === 'number')
        this.scene.attempts.set((ops[i] as { id: string }).id, row.attempt);
    }
  }
}

export async function loadInstead(cluster: ScriptCluster, options: Pick<RunOptions, 'instead'>): Promise<void> {
  if (options.instead) await cluster.load([...options.instead.values()]);
}

export async function run(cluster: ScriptCluster, options: RunOptions): Promise<RunResult> {
  await loadInstead(cluster, options);
  const stages: Stage[] = [];
  for (let p = 0; p < options.partitions; p++) stages.push(await Stage.set(cluster.partition(p), options.instead));
  const calls = draftCalls(options.seed, options.operations, options.partitions);
  const from = Date.now();
  let next = 0;
  let failed: unknown;
  const client = async (): Promise<void> => {
    const connections = new Map(cluster.masters.map((node) => [node, connect(node.port)]));
    while (next < calls.length && failed === undefined) {
      const at = next++;
      const wait = from + (at / calls.length) * options.seconds * 1_000 - Date.now();
      if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
      const call: DraftCall = calls[at]!;
      const stage = stages[call.partition]!;
      await stage.call(connections.get(stage.partition.node)!, call.script, stage.scene.ops(call, Date.now()));
    }
  };
  const clients = Array.from({ length: options.clients }, () =>
    client().catch((error: unknown) => {
      failed ??= error;
    }),
  );
  await Promise.all(clients);
  if (failed instanceof Disagreement) throw await explained(cluster, failed, options);
  if (failed instanceof Error) throw failed;
  for (const stage of stages) await stage.checker.finish();
  const seen = new Map<string, number>();
  for (const { checker } of stages)
    for (const [what, count] of checker.seen) seen.set(what, (seen.get(what) ?? 0) + count);
  return {
    operations: calls.reduce((sum, call) => sum + call.drafts.length, 0),
    calls: calls.length,
    inFlight: Math.max(...stages.map((stage) => stage.mostInFlight)),
    seen,
  };
}

/** With the seed, and the few operations that make it where they can be found. */
async function explained(cluster: ScriptCluster, found: Disagreement, options: RunOptions): Promise<Disagreement> {
  const small = options.shrink === false ? undefined : await shrink(cluster, found.steps, options);
  const told = small?.steps.map(({ name, op }) => `  ${name} ${JSON.stringify(op)}`) ?? [];
  const parts = [`HOLDFAST_SEED=${options.seed}`, found.message];
  if (small) parts.push(`shrunk to ${told.length} operations on an empty run:`, ...told, `and there: ${small.message}`);
  return new Disagreement(parts.join('\n'), small?.steps ?? found.steps);
}

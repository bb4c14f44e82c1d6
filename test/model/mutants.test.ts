/** The model test can fail: each script here is broken in one place, and each break shows. */
import { createHash } from 'node:crypto';
import t from 'tap';
import * as bindings from '../../engine/scripts/generated/index.js';
import { type ScriptInfo } from '../../engine/scripts/script.js';
import { ScriptCluster } from '../support/scripts.js';
import { type AnyScript, Disagreement } from './checker.js';
import { atDeadline } from './deadline.js';
import { type ScriptName } from './oracle.js';
import { run } from './runner.js';
import { tour } from './tour.js';

interface Mutant {
  readonly name: string;
  readonly script: ScriptName;
  /** Stands in the source of the script, and is replaced wherever it does. */
  readonly from: string;
  readonly to: string;
  /** Shows only in the very millisecond of a deadline. */
  readonly moment?: true;
}

const MUTANTS: readonly Mutant[] = [
  {
    name: 'a release counts nothing down for the buyer',
    script: 'stock/release',
    from: 'add_units(index, record[R_BUYER], -quantity)',
    to: '',
  },
  {
    name: 'a return counts nothing down for the buyer',
    script: 'stock/return',
    from: 'uncount(record, at, index, more)',
    to: '',
  },
  {
    name: 'the number of the last event is not written',
    script: 'stock/restock',
    from: "redis.call('HSET', meta, 'seq', last)",
    to: '',
  },
  { name: 'events are numbered one too low', script: 'stock/confirm', from: 'pack_int(seq + 1)', to: 'pack_int(seq)' },
  {
    name: 'one unit too many is sold',
    script: 'stock/deduct',
    from: 'quantity > item.available',
    to: 'quantity > item.available + 1',
  },
  {
    name: 'one unit too few is sold',
    script: 'stock/reserve',
    from: 'quantity > item.available',
    to: 'quantity >= item.available',
  },
  { name: 'buyers get one more', script: 'stock/reserve', from: 'quantity > left', to: 'quantity > left + 1' },
  { name: 'an order is not remembered', script: 'stock/deduct', from: 'store_ids(ids_key)', to: '' },
  {
    name: 'other content under an id is let through',
    script: 'stock/restock',
    from: 'record[2] ~= fingerprint',
    to: 'false',
  },
  {
    name: 'an id that is known is held again',
    script: 'stock/reserve',
    from: 'not hold_records[id] and',
    to: '',
  },
  {
    name: 'an id of a claim is held',
    script: 'stock/reserve',
    from: 'and not claimed[id]',
    to: '',
  },
  {
    name: 'buyers have no limit when they are many',
    script: 'stock/reserve',
    from: 'item.buyer_limit == 0 and',
    to: '',
  },
  {
    name: 'an older attempt is let through',
    script: 'stock/reserve',
    from: 'op.attempt < record[R_ATTEMPT]',
    to: 'false',
  },
  { name: 'a claim is sealed by any attempt', script: 'claims/seal', from: 'record[C_ATTEMPT] ~= attempt or', to: '' },
  {
    name: 'a young claim is taken over',
    script: 'claims/open',
    from: 'now < record[C_OPENED]',
    to: 'false and now < record[C_OPENED]',
  },
  {
    name: 'held units are not counted',
    script: 'stock/adjust',
    from: 'value - item.reserved - item.available',
    to: 'value - item.available',
  },
  {
    name: 'low stock is told again and again',
    script: 'stock/reserve',
    from: 'before > item.low_mark',
    to: 'before >= item.low_mark',
  },
  { name: 'a deadline is brought nearer', script: 'stock/extend', from: 'wanted > deadline', to: 'wanted ~= deadline' },
  {
    name: 'a change of settings keeps the version',
    script: 'stock/configure',
    from: 'item.version = item.version + 1',
    to: '',
  },
  { name: 'bought reservations are forgotten after a day', script: 'stock/settle', from: 'long and', to: 'false and' },
  { name: 'the index does not learn of new holds', script: 'stock/reserve', from: 'store_due(due_key)', to: '' },
  { name: 'an aborted part stays', script: 'stock/abort', from: 'set_hold(op.id, false)', to: '' },
  { name: 'sold units go back on sale', script: 'stock/confirm', from: 'if sold == 1 then', to: 'if false then' },
  {
    name: 'a hold can be confirmed at its deadline',
    script: 'stock/confirm',
    from: 'now >= deadline',
    to: 'now > deadline',
    moment: true,
  },
  {
    name: 'a hold does not expire at its deadline',
    script: 'stock/expire',
    from: 'now < deadline',
    to: 'now <= deadline',
    moment: true,
  },
  {
    name: 'a hold can be extended at its deadline',
    script: 'stock/extend',
    from: 'now >= deadline',
    to: 'now > deadline',
    moment: true,
  },
  {
    name: 'a claim can be confirmed at its deadline',
    script: 'claims/confirm',
    from: 'now >= record[C_DEADLINE]',
    to: 'now > record[C_DEADLINE]',
    moment: true,
  },
  {
    name: 'the sale closes a millisecond late',
    script: 'stock/deduct',
    from: 'now >= item.closes',
    to: 'now > item.closes',
    moment: true,
  },
  {
    name: 'the sale opens a millisecond late',
    script: 'stock/deduct',
    from: 'now < item.opens',
    to: 'now <= item.opens',
    moment: true,
  },
];

/** Share of the mutants that the workload must find without the tour, or it tests little. */
const MOSTLY = 0.7;

const ALL = Object.values(bindings as Record<string, unknown>);
const seed = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000_007);

function changed(script: ScriptName, change: (source: string) => string): AnyScript {
  const original = ALL.find((it) => (it as ScriptInfo | undefined)?.name === script) as AnyScript;
  const source = change(original.source);
  return { ...original, source, sha1: createHash('sha1').update(source).digest('hex') };
}

function broken({ script, from, to }: Mutant): AnyScript {
  return changed(script, (source) => {
    if (!source.includes(from)) throw new Error(`${script} has no ${from}: the mutant has to follow the script`);
    return source.replaceAll(from, to);
  });
}

void t.test('every broken script is found', { timeout: 300_000 }, async (t) => {
  t.comment(`HOLDFAST_SEED=${seed}`);
  const cluster = await ScriptCluster.own({ replicasPerMaster: 0 });
  const options = { seed, operations: 15_000, partitions: 3, clients: 6, seconds: 2, shrink: false };
  await t.test('a script that is only written differently is not', async () => {
    const instead = new Map(
      MUTANTS.map(({ script }) => [script, changed(script, (source) => `${source}\n-- the same`)]),
    );
    await run(cluster, { ...options, instead });
    await tour(cluster, { instead });
    await atDeadline(cluster, { instead });
  });
  let workload = 0;
  for (const mutant of MUTANTS)
    await t.test(`${mutant.script}: ${mutant.name}`, async (t) => {
      const instead = new Map([[mutant.script, broken(mutant)]]);
      if (mutant.moment) return t.rejects(atDeadline(cluster, { instead }), Disagreement);
      // The workload finds most of them; what it finds depends on what happens to meet. The tour meets everything.
      await t.rejects(tour(cluster, { instead }), Disagreement, 'on the tour');
      const met = await run(cluster, { ...options, instead }).catch((error: unknown) => error);
      if (met instanceof Error && !(met instanceof Disagreement)) throw met;
      t.comment(met instanceof Disagreement ? 'and in the workload' : 'not in the workload this time');
      workload += met instanceof Disagreement ? 1 : 0;
    });
  const lasting = MUTANTS.filter(({ moment }) => !moment).length;
  t.ok(workload >= MOSTLY * lasting, `the workload alone finds ${workload} of ${lasting}`);
  await t.test('what disagrees is shrunk to the few operations that make it', async (t) => {
    const mutant = MUTANTS[0]!;
    const instead = new Map([[mutant.script, broken(mutant)]]);
    const found = await run(cluster, { ...options, instead, shrink: true }).catch((error: unknown) => error);
    if (!(found instanceof Disagreement)) return t.fail('no disagreement');
    t.match(found.message, new RegExp(`HOLDFAST_SEED=${seed}\n[^]*shrunk to ${found.steps.length} operations`));
    t.ok(found.steps.length <= 20, `${found.steps.length} operations: ${JSON.stringify(found.steps)}`);
  });
});

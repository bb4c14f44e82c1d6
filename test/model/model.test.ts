import t from 'tap';
import { statuses } from '../../engine/scripts/generated/statuses.js';
import { scripts } from '../../engine/scripts/generated/index.js';
import { ScriptCluster } from '../support/scripts.js';
import { SCRIPT_NAMES, type ScriptName } from './oracle.js';
import { atDeadline } from './deadline.js';
import { run } from './runner.js';
import { tour } from './tour.js';

/** The binding numbers the items itself: no call of it can name one that is not declared. */
const IMPOSSIBLE = new Set(['stock/check invalid_argument']);

const OPERATIONS = 110_000;
const seed = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000_007);

const cluster = await ScriptCluster.own();

void t.test('every reply, the final state and the whole log agree with the oracle', { timeout: 180_000 }, async (t) => {
  t.comment(`HOLDFAST_SEED=${seed}`);
  const covered = scripts.map(({ name }) => name).filter((name) => /^(stock|claims)\//.test(name));
  t.strictSame([...SCRIPT_NAMES].sort(), covered.sort(), 'the oracle has a rule for every script');
  const result = await run(cluster, { seed, operations: OPERATIONS, partitions: 6, clients: 18, seconds: 16 });
  t.ok(result.operations >= OPERATIONS, `${result.operations} operations in ${result.calls} calls`);
  t.ok(result.inFlight > 1, `up to ${result.inFlight} calls in flight on one partition`);
  const missed = scripts
    .filter(({ name }) => SCRIPT_NAMES.includes(name as ScriptName))
    .flatMap(({ name, statuses: all }) => all.map((status) => `${name} ${status}`))
    .filter((what) => !IMPOSSIBLE.has(what))
    .filter((what) => !result.seen.has(what) && !what.endsWith(` ${statuses.fenced.name}`));
  t.strictSame(missed, [], 'every status of every script was met');
  for (const [what, count] of [...result.seen].sort()) t.comment(`${what}: ${count}`);
});

void t.test('a tour of every script', async (t) => {
  const seen = await tour(cluster);
  const visited = new Set([...seen].map((what) => what.split(' ')[0]));
  t.strictSame([...visited].sort(), [...SCRIPT_NAMES].sort());
  t.strictSame(
    SCRIPT_NAMES.filter((name) => !seen.has(`${name} ok`)),
    [],
    'each succeeds somewhere on it',
  );
});

void t.test('at a deadline, to the millisecond', { timeout: 180_000 }, async (t) => {
  t.strictSame(await atDeadline(cluster), [], 'scripts that were never called in that millisecond');
});

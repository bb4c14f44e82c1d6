/**
 * A walk through every script, one operation after the other, that leaves nothing to luck: whatever the random workload happens not
 * to meet on a slow day (a return of units that count for their buyer, an order for the very last unit), this meets every time.
 */
import { connect, type ScriptCluster } from '../support/scripts.js';
import { type ScriptName } from './oracle.js';
import { loadInstead, type RunOptions, Stage } from './runner.js';
import { refOf } from './workload.js';

/** A partition that nothing else of the model test uses. */
const PARTITION = 31;

type Stop = readonly [ScriptName, object | ((stage: Stage) => object)];

/** Items as every run begins with them: plenty; 5 a buyer; a room and a low mark at 20; a low mark at 8. */
const [PLENTY, LIMITED, GATED, LAST] = [refOf(0), refOf(1), refOf(3), refOf(4)] as const;
const desk = { attempt: 0, actor: 'desk' };
const unchanged = {
  buyerLimit: '',
  opens: '',
  closes: '',
  lowMark: '',
  holdSeconds: '',
  room: '',
  force: 0,
  detail: '{}',
  actor: 'desk',
};

function reserve(id: string, item: string, quantity: number, more: object = {}): Stop {
  const asked = { id, attempt: 0, fingerprint: 7, buyer: 'bob', hold: 600, room: '', actor: 'bob' };
  return ['stock/reserve', { ...asked, lines: [{ item, quantity }], ...more }];
}
const named = (script: ScriptName, id: string, item: string, attempt = 0): Stop => [
  script,
  { ...desk, id, attempt, lines: [{ item }] },
];
const giveBack = (id: string, item: string, total: number): Stop => [
  'stock/return',
  { ...desk, id, lines: [{ item, total }] },
];
const deduct = (id: string, item: string, quantity: number): Stop => [
  'stock/deduct',
  { id, fingerprint: 7, item, quantity, buyer: 'bob', room: '', actor: 'bob' },
];
const restock = (id: string, fingerprint: number): Stop => [
  'stock/restock',
  { id, fingerprint, item: PLENTY, quantity: 6, reason: 'delivery', actor: 'desk' },
];
const count = (id: string, isCount: number, value: number): Stop => [
  'stock/adjust',
  { id, fingerprint: 7, item: PLENTY, isCount, value, reason: 'count', actor: 'desk' },
];
const open = (id: string): Stop => [
  'claims/open',
  { id, fingerprint: 7, buyer: 'bob', lines: [{ ref: PLENTY, quantity: 1 }] },
];
/** By the attempt that opened the claim, or another. */
const attempted = (script: ScriptName, id: string, off = 0): Stop => [
  script,
  ({ scene }) => {
    const attempt = scene.attempts.get(id)! + off;
    return script === 'claims/seal' ? { id, attempt, deadline: Date.now() + 600_000 } : { id, attempt };
  },
];
const claim = (script: ScriptName, id: string): Stop => [script, { id, actor: 'desk' }];

export const TOUR: readonly Stop[] = [
  // Units that count for their buyer: up to the limit and not beyond, and free again after a release, an expiry and a return.
  reserve('limit', LIMITED, 2, { buyer: 'ann' }),
  reserve('beyond', LIMITED, 1, { buyer: 'ann' }),
  reserve('freed', LIMITED, 5),
  named('stock/release', 'freed', LIMITED),
  reserve('bought', LIMITED, 5),
  named('stock/confirm', 'bought', LIMITED),
  giveBack('bought', LIMITED, 2),
  giveBack('bought', LIMITED, 2),
  reserve('again', LIMITED, 2),
  giveBack('bought', LIMITED, 5),
  named('stock/expire', 'lost', LIMITED, 2),
  named('stock/expire', 'late', PLENTY),
  // Orders: the last unit but none more, once; and one that is told to be low once.
  deduct('more', LAST, 31),
  deduct('order', LAST, 22),
  deduct('order', LAST, 22),
  deduct('low', LAST, 1),
  deduct('most', LAST, 8),
  deduct('last', LAST, 7),
  reserve('mark', GATED, 20, { room: 'gate' }),
  reserve('below', GATED, 1, { room: 'gate' }),
  reserve('over', GATED, 20, { room: 'gate' }),
  reserve('all', GATED, 19, { room: 'gate' }),
  // Ids: repeated, and with other content.
  restock('delivery', 7),
  restock('delivery', 7),
  restock('delivery', 8),
  count('lost', 0, -3),
  // Of an item that anybody may have: the short way of reserve.
  reserve('plain', PLENTY, 1),
  reserve('plain', PLENTY, 1),
  open('early'),
  reserve('early', PLENTY, 1),
  attempted('claims/abort', 'early'),
  ['stock/configure', { ...unchanged, item: PLENTY, lowMark: '10' }],
  ['stock/configure', { ...unchanged, item: LIMITED, buyerLimit: '9' }],
  // Holds and their attempts.
  reserve('own', PLENTY, 2),
  // A count is of all units, also of those that are held.
  count('counted', 1, 40),
  ['stock/extend', { ...desk, id: 'own', hold: 1, untilMs: 0 }],
  ['stock/extend', { ...desk, id: 'own', hold: 1_200, untilMs: 0 }],
  reserve('part', PLENTY, 1, { attempt: 2 }),
  reserve('part', PLENTY, 1, { attempt: 1 }),
  reserve('part', PLENTY, 1, { attempt: 3 }),
  named('stock/abort', 'part', PLENTY, 2),
  named('stock/abort', 'part', PLENTY, 3),
  // Claims.
  open('claim'),
  open('claim'),
  attempted('claims/seal', 'claim', 1),
  attempted('claims/seal', 'claim'),
  ['claims/extend', { id: 'claim', hold: 1_200, actor: 'desk' }],
  ['claims/extend', { id: 'claim', hold: 1, actor: 'desk' }],
  ['claims/confirm', { id: 'claim', actor: 'desk', sold: 0 }],
  claim('claims/return', 'claim'),
  open('undone'),
  attempted('claims/abort', 'undone', 1),
  attempted('claims/abort', 'undone'),
  open('let-go'),
  attempted('claims/seal', 'let-go'),
  claim('claims/release', 'let-go'),
  ['claims/expire', { id: 'late' }],
  // What is over, and how long it is remembered.
  ['stock/due', { page: 32 }],
  // Whole entries of the index, as every run begins with them.
  ...['late lost', 'gone going kept past c:late c:half', 'c:gone c:kept', `i:gone:${PLENTY}`, `i:kept:${PLENTY}`].map(
    (member): Stop => ['stock/settle', { member, later: 0 }],
  ),
  ['stock/check', { item: PLENTY }],
  ['stock/find', { id: 'own' }],
  ['stock/find', { id: 'claim' }],
  ['stock/touch', { id: 'own' }],
];

/** @throws Disagreement as soon as one shows, or at the end. Answers `script status` of every operation. */
export async function tour(cluster: ScriptCluster, options: Pick<RunOptions, 'instead'> = {}): Promise<Set<string>> {
  await loadInstead(cluster, options);
  const stage = await Stage.set(cluster.partition(PARTITION), options.instead);
  const client = connect(stage.partition.node.port);
  for (const [script, op] of TOUR) await stage.call(client, script, [typeof op === 'function' ? op(stage) : op]);
  await stage.checker.finish();
  return new Set(stage.checker.seen.keys());
}

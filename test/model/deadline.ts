/**
 * Deadlines to the millisecond: many reservations, claims and sale windows that end at the same moment, and one call after the other
 * while it passes. What Redis' clock said inside each call decides what is right.
 */
import { REPLY_HEADER } from '../../engine/scripts/script.js';
import { connect, type ScriptCluster } from '../support/scripts.js';
import { type ScriptName } from './oracle.js';
import { loadInstead, type RunOptions, Stage } from './runner.js';
import { refOf } from './workload.js';

/** Scripts whose answer turns at a deadline; `deduct` for both ends of a sale. */
const TURNING: readonly ScriptName[] = [
  'stock/confirm',
  'stock/release',
  'stock/expire',
  'stock/extend',
  'stock/return',
  'stock/reserve',
  'stock/deduct',
  'stock/deduct',
  'stock/due',
  'claims/confirm',
  'claims/release',
  'claims/extend',
  'claims/expire',
  'claims/open',
  'claims/seal',
];
const EACH = 12;
const PARTITION = 7;
/** Sent this long before the moment, so that the calls are still being carried out when it comes. */
const AHEAD_MS = 4;
/** On a busy machine most rounds miss the millisecond for some script. */
const MOST_ROUNDS = 120;

const [PLAIN, CLOSING, OPENING] = [refOf(0), refOf(2), refOf(4)];
const lines = [{ item: PLAIN, quantity: 1 }];
const desk = { attempt: 0, actor: 'desk' };
const settings = {
  buyerLimit: '',
  opens: '',
  closes: '',
  lowMark: '',
  holdSeconds: '',
  room: '',
  force: 0,
  detail: '',
};

function reservation(id: string): object {
  return { id, fingerprint: 7, attempt: 0, buyer: 'ann', hold: 1, room: '', actor: 'ann', lines };
}
const claimOf = (id: string): object => ({ id, fingerprint: 7, buyer: 'ann', lines: [{ ref: PLAIN, quantity: 1 }] });

/** The call about one reservation or claim that place `s` makes. */
function turning(script: ScriptName, id: string, s: number): object {
  switch (script) {
    case 'stock/extend':
      return { ...desk, id, hold: 1, untilMs: 0 };
    case 'stock/return':
      return { ...desk, id, lines: [{ item: PLAIN, total: 0 }] };
    case 'stock/reserve':
      return reservation(id);
    case 'stock/deduct':
      return {
        ...desk,
        id,
        fingerprint: 7,
        item: s === TURNING.indexOf('stock/deduct') ? CLOSING : OPENING,
        quantity: 1,
        buyer: '',
        room: '',
      };
    case 'stock/due':
      return { page: 32 };
    case 'claims/open':
      return claimOf(id);
    case 'claims/seal':
      return { id, attempt: 0, deadline: 1 };
    case 'claims/extend':
      return { id, hold: 1, actor: 'desk' };
    case 'claims/expire':
      return { id };
    case 'claims/confirm':
      return { id, actor: 'desk', sold: 0 };
    case 'claims/release':
      return { id, actor: 'desk' };
    default:
      return { ...desk, id, lines: [{ item: PLAIN }] };
  }
}

/** Runs rounds until every script was called in the very millisecond; answers those that never were. */
export async function atDeadline(cluster: ScriptCluster, options: Pick<RunOptions, 'instead'> = {}): Promise<string[]> {
  await loadInstead(cluster, options);
  const stage = await Stage.set(cluster.partition(PARTITION), options.instead);
  const client = connect(stage.partition.node.port);
  await stage.call(client, 'stock/restock', [
    { id: 'much', fingerprint: 1, item: PLAIN, quantity: 1_000_000, reason: '', actor: '' },
  ]);
  const missing = new Set(TURNING.keys());
  for (let round = 0; round < MOST_ROUNDS && missing.size > 0; round++) {
    const ids = TURNING.map((_, s) => Array.from({ length: EACH }, (_, i) => `${round}-${s}-${i}`));
    const moment = await prepare(stage, client, ids);
    while (Date.now() < moment - AHEAD_MS) await new Promise((resolve) => setTimeout(resolve, 1));
    const calls: Promise<void>[] = [];
    for (let i = 0; i < EACH; i++)
      for (const [s, script] of TURNING.entries())
        calls.push(
          stage.call(client, script, [attempted(stage, turning(script, ids[s]![i]!, s))]).then((reply) => {
            if (!(reply instanceof Error) && reply[REPLY_HEADER - 1] === moment) missing.delete(s);
          }),
        );
    for (const settled of await Promise.allSettled(calls)) if (settled.status === 'rejected') throw settled.reason;
  }
  await stage.checker.finish();
  return [...missing].map((s) => TURNING[s]!);
}

/** Seals name the attempt under which their claim was opened. */
function attempted(stage: Stage, op: object): object {
  const id = (op as { id?: string }).id ?? '';
  return 'deadline' in op ? { ...op, attempt: stage.scene.attempts.get(id) ?? 0 } : op;
}

/** Everything of a round is made to turn at the same moment, which is answered. */
async function prepare(stage: Stage, client: ReturnType<typeof connect>, ids: readonly string[][]): Promise<number> {
  const of = (domain: string): string[] => ids.filter((_, s) => TURNING[s]!.startsWith(domain)).flat();
  const reply = await stage.call(client, 'stock/reserve', of('stock/').map(reservation));
  if (reply instanceof Error) throw reply;
  // The first run of the reply: how many, their status, the deadline of each.
  const moment = Number(reply[REPLY_HEADER + 2]);
  const claims = of('claims/');
  await stage.call(client, 'claims/open', claims.map(claimOf));
  // Seals are tried on claims that are sealed: their answer tells whether the claim is over.
  await stage.call(
    client,
    'claims/seal',
    claims.map((id) => ({ id, attempt: stage.scene.attempts.get(id) ?? 0, deadline: moment })),
  );
  await stage.call(client, 'stock/configure', [
    { ...settings, item: CLOSING, opens: '-', closes: String(moment), actor: 'desk' },
    { ...settings, item: OPENING, opens: String(moment), closes: '-', actor: 'desk' },
  ]);
  return moment;
}

/** Point 8 for reads: what is read is a state that the item had, of what was asked for, and no older than it says. */
import type { Movement } from '../final/types.js';
import type { Call, Request } from '../history.js';
import { type Checking, CLOCK_MS, whenMade } from './context.js';
import { nearLoss } from './order.js';

/** HOLDFAST_MAX_STALE_MS of the world's servers. */
const MAX_STALE_MS = 1_000;
/** Memory of a server may be as old as it is allowed to be after a loss, too. */
const AFTER_LOSS_MS = 10_000;

interface LevelRead {
  readonly location: string;
  readonly sku: string;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
  readonly staleMs?: number;
}

export function checkReads(checking: Checking): void {
  for (const call of checking.calls) {
    const { request, answer } = call;
    if (request.op !== 'read' || answer?.outcome !== 'ok') continue;
    const body = answer.body as LevelRead | { items: LevelRead[]; staleMs?: number };
    const reads = 'items' in body ? body.items : [body];
    checkNames(checking, call, request, reads);
    for (const read of reads) checkRead(checking, call, { staleMs: body.staleMs, ...read });
  }
}

/** Every item that was asked for, and no other; the stream leaves out what it does not know. */
function checkNames(
  { report }: Checking,
  call: Call,
  { refs }: Request & { op: 'read' },
  reads: readonly LevelRead[],
): void {
  const told = reads.map(({ location, sku }) => `${location}:${sku}`);
  const strange = told.filter((ref, n) => !refs.includes(ref) || told.indexOf(ref) !== n);
  const lacking = call.over === 'http' ? refs.filter((ref) => !told.includes(ref)) : [];
  if (strange.length === 0 && lacking.length === 0) return;
  const what = `call ${call.n} read ${refs.join(', ')} and was told of ${told.join(', ') || 'nothing'}`;
  report({ point: 8, what, refs: [...refs], calls: [call] });
}

/** A level that was read is one that the item had: version and counts belong together, and it was so when it was read. */
function checkRead(checking: Checking, call: Call, read: LevelRead): void {
  const { model, report } = checking;
  const ref = `${read.location}:${read.sku}`;
  if (nearLoss(checking, call, ref, AFTER_LOSS_MS)) return;
  const timeline = model.timelines.get(ref) ?? [];
  const at = timeline.findIndex(({ version }) => version === read.version);
  const event = timeline[at];
  const shown = `call ${call.n} read ${ref} as ${read.available} + ${read.reserved} + ${read.sold} (version ${read.version})`;
  const wrong = (what: string): void => report({ point: 8, what: `${shown}, ${what}`, refs: [ref], calls: [call] });
  if (!event) return wrong('a version it never had');
  if (event.available !== read.available || event.reserved !== read.reserved || event.sold !== read.sold)
    return wrong(`but with that version it had ${event.available} + ${event.reserved} + ${event.sold}`);
  if (whenMade(checking, event)[0] > call.endedWall! + CLOCK_MS) return wrong('which it only had later');
  const late = tooOld(checking, call, read, timeline[at + 1]);
  if (late !== undefined) wrong(late);
}

/** What was read had been so when the call began, or so long before as the answer says; and that is bounded. */
function tooOld(
  checking: Checking,
  call: Call,
  { staleMs }: LevelRead,
  next: Movement | undefined,
): string | undefined {
  const { beganWall, request } = call;
  const most = request.op === 'read' && request.fresh ? 0 : MAX_STALE_MS;
  const said = staleMs ?? most;
  if (said > most) return `which may be ${said} ms old, as it says itself; at most ${most} ms are allowed`;
  const over = next === undefined ? Infinity : whenMade(checking, next)[1];
  const old = beganWall - CLOCK_MS - said - over;
  return old > 0 ? `which was over ${Math.round(old + CLOCK_MS + said)} ms before it was asked for` : undefined;
}

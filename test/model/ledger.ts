/**
 * Replays a log by nothing but what events.json says of each kind: whether it alone is enough to rebuild the counts and the holds,
 * as persistence has to.
 */
import { eventNumbers } from '../../engine/scripts/generated/events.js';
import { type LoggedEntry, type LoggedEvent, type World } from '../support/scripts.js';
import { holdRecord, phaseNumber, type ReservationPhase, State } from './state.js';

/** What a kind does to available, reserved and sold, by its quantity. */
const SIGNS: Readonly<Record<string, readonly [number, number, number]>> = {
  configured: [0, 0, 0],
  restocked: [1, 0, 0],
  adjusted: [1, 0, 0],
  deducted: [-1, 0, 1],
  held: [-1, 1, 0],
  confirmed: [0, -1, 1],
  released: [1, -1, 0],
  expired: [1, -1, 0],
  returned: [1, 0, -1],
  aborted: [1, -1, 0],
};

interface ReplayedLine {
  readonly ref: string;
  readonly quantity: number;
  returned: number;
  readonly counted: boolean;
}
interface ReplayedHold {
  phase: ReservationPhase;
  deadline: number;
  attempt: number;
  readonly fingerprint: number;
  readonly buyer: string;
  readonly call: string;
  readonly lines: ReplayedLine[];
}

class Replay {
  readonly problems: string[] = [];
  readonly levels = new Map<string, number[]>();
  readonly holds = new Map<string, ReplayedHold>();

  constructor(start: World) {
    for (const [ref, { a, r, s, v }] of Object.entries(start.stock)) this.levels.set(ref, [a, r, s, v].map(Number));
    for (const [id, hold] of State.of(start).holds)
      this.holds.set(id, { ...hold, call: '', lines: hold.lines.map((line) => ({ ...line })) });
  }

  take(entry: LoggedEntry): void {
    for (const event of entry.events) {
      this.level(event);
      this.hold(event, entry.id);
    }
  }

  private level(event: LoggedEvent): void {
    const signs = SIGNS[event.kind];
    const after = [event.available, event.reserved, event.sold, event.version];
    if (!signs) {
      // Told beside a change: the level as it stands, or none.
      const now = event.ref ? this.levels.get(event.ref) : [0, 0, 0, 0];
      if (event.ref && String(now) !== String(after))
        this.problems.push(`event ${event.seq} (${event.kind}): another level`);
      return;
    }
    const [a = 0, r = 0, s = 0, v = 0] = this.levels.get(event.ref) ?? [];
    const q = event.quantity;
    const expected = [a + signs[0] * q, r + signs[1] * q, s + signs[2] * q, v + 1];
    if (String(expected) !== String(after))
      this.problems.push(
        `event ${event.seq} (${event.kind} ${event.ref}): ${String(after)} after ${String([a, r, s, v])}`,
      );
    if (after.some((count) => count < 0)) this.problems.push(`event ${event.seq}: a count is negative`);
    this.levels.set(event.ref, after);
  }

  private hold(event: LoggedEvent, call: string): void {
    const { kind, id, deadline, attempt, fingerprint, ref, quantity } = event;
    const known = this.holds.get(id);
    if (kind === 'held') {
      // Lines of one reservation stand next to each other in one entry; an earlier attempt that ended is replaced.
      const [limited, buyer] = /^(limited)?(?: for:(.*))?$/.exec(event.detail)!.slice(1);
      const line = { ref, quantity, returned: 0, counted: limited !== undefined };
      if (known?.call === call && known.attempt === attempt) known.lines.push(line);
      else
        this.holds.set(id, {
          phase: 'held',
          deadline,
          attempt,
          fingerprint,
          buyer: buyer ?? event.actor,
          call,
          lines: [line],
        });
    } else if (known && kind === 'extended') Object.assign(known, { deadline, attempt });
    else if (known && kind === 'aborted') this.holds.delete(id);
    else if (known && (kind === 'confirmed' || kind === 'released' || kind === 'expired')) known.phase = kind;
    else if (known && kind === 'returned') {
      known.lines.find((line) => line.ref === ref)!.returned += quantity;
      if (known.lines.every((line) => line.returned === line.quantity)) known.phase = 'returned';
    } else if (kind in SIGNS && kind in eventNumbers && ['confirmed', 'released', 'expired', 'returned'].includes(kind))
      this.problems.push(`event ${event.seq} (${kind}): no hold ${id}`);
  }
}

/** What the log does not tell as it should, one sentence each. Records that the sweep forgot may be missing at the end. */
export function replay(start: World, log: readonly LoggedEntry[], end: World): string[] {
  const replayed = new Replay(start);
  let seq = Number(start.meta.seq ?? 0);
  for (const entry of log) {
    for (const event of entry.events)
      if (event.seq !== ++seq) replayed.problems.push(`event ${event.seq} where ${seq} should be`);
    if (entry.id !== `${entry.epoch}-${seq}`) replayed.problems.push(`entry ${entry.id} ends with event ${seq}`);
    replayed.take(entry);
  }
  for (const [ref, { a, r, s, v }] of Object.entries(end.stock))
    if (String(replayed.levels.get(ref)) !== String([a, r, s, v]))
      replayed.problems.push(
        `${ref}: ${String(replayed.levels.get(ref))} by the log, ${String([a, r, s, v])} in Redis`,
      );
  for (const [id, record] of Object.entries(end.holds)) {
    const hold = replayed.holds.get(id);
    const told = hold && holdRecord({ ...hold, resolvedAt: 0 });
    const there = record.map((cell, i) => (i === 5 ? 0 : cell));
    if (String(told) !== String(there))
      replayed.problems.push(`hold ${id}: ${String(told)} by the log, ${String(there)} in Redis`);
  }
  for (const [id, hold] of replayed.holds)
    if (hold.phase === 'held' && end.holds[id]?.[0] !== phaseNumber('held'))
      replayed.problems.push(`hold ${id}: held by the log, not in Redis`);
  return replayed.problems;
}

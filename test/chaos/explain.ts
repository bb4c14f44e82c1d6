/** The few things that happened to what a violation is about, in order: enough to understand it without the whole history. */
import { kindName } from './checker/kinds.js';
import type { Violation } from './checker/index.js';
import type { FinalState, Movement } from './final/types.js';
import type { Call } from './history.js';
import type { NemesisEntry } from './nemesis-log.js';

interface Line {
  readonly at: number;
  readonly text: string;
}

/** Calls, events and deeds of the nemesis shown for one violation. */
const SHOWN = 40;
/** Deeds of the nemesis that are so near to something that happened are shown. */
const NEAR_MS = 2_000;

export function explain(
  violation: Violation,
  calls: readonly Call[],
  final: FinalState,
  nemesis: readonly NemesisEntry[],
  startedAt: number,
): string {
  const ids = new Set([...(violation.ids ?? []), ...(violation.events ?? []).map(({ id }) => id)].filter(Boolean));
  const about = calls.filter((call) => violation.calls?.includes(call) || concerns(call, ids));
  const events = final.postgres.movements.filter(
    (event) =>
      ids.has(event.id) ||
      violation.events?.some(({ partition, seq }) => event.partition === partition && event.seq === seq),
  );
  // Without an id, the last things that happened to the item are shown.
  const ofItem = ids.size > 0 ? [] : final.postgres.movements.filter(({ ref }) => violation.refs?.includes(ref));
  const lines: Line[] = [
    ...about.flatMap(callLines),
    ...events.map(eventLine),
    ...ofItem.slice(-12).map(eventLine),
    ...nemesis.map(({ wall, what, fields }) => ({
      at: wall,
      text: `nemesis: ${what}${fields ? ` ${JSON.stringify(fields)}` : ''}`,
    })),
  ].sort((a, b) => a.at - b.at);
  const own = lines.filter(({ text }) => !text.startsWith('nemesis'));
  // What was being broken at the time: the rest of a long run would only hide it.
  const near = lines.filter((line) => own.includes(line) || own.some(({ at }) => Math.abs(at - line.at) <= NEAR_MS));
  const shown = near.length > SHOWN ? [...near.slice(0, SHOWN / 2), ...near.slice(-SHOWN / 2)] : near;
  const body = shown.map(({ at, text }) => `    ${((at - startedAt) / 1000).toFixed(3).padStart(9)} s  ${text}`);
  return [`point ${violation.point}: ${violation.what}`, ...body].join('\n');
}

function concerns({ request, answer }: Call, ids: ReadonlySet<string>): boolean {
  const told = (answer?.body as { reservationId?: string } | undefined)?.reservationId;
  return ('id' in request && request.id !== undefined && ids.has(request.id)) || (told !== undefined && ids.has(told));
}

function callLines(call: Call): Line[] {
  const { n, client, via, over, request, wanted, answer, because, key, beganWall, endedWall } = call;
  const { op, ...asked } = request;
  const how = [over, `ack ${wanted}`, ...(because ? [because] : []), ...(key ? [`key ${key}`] : [])].join(', ');
  const begun = { at: beganWall, text: `call ${n} ${client} → ${via}: ${op} ${JSON.stringify(asked)} (${how})` };
  if (!answer || endedWall === undefined) return [begun];
  const { outcome, status, code, ack, replayed } = answer;
  const {
    expiresAt,
    available,
    reserved,
    sold,
    version,
    status: state,
  } = (answer.body ?? {}) as Record<string, unknown>;
  const facts = Object.entries({
    ack,
    code,
    replayed: replayed || undefined,
    state,
    expiresAt,
    available,
    reserved,
    sold,
    version,
  });
  const told = facts.filter(([, value]) => value !== undefined).map(([name, value]) => `${name} ${String(value)}`);
  return [begun, { at: endedWall, text: `call ${n} ended: ${outcome} ${status} ${told.join(', ')}` }];
}

function eventLine(event: Movement): Line {
  const { partition, epoch, seq, at, kind, ref, id, quantity, available, reserved, sold, version, deadline, attempt } =
    event;
  const level = ref ? ` → ${available} + ${reserved} + ${sold}, version ${version}` : '';
  const more = [
    ...(deadline ? [`deadline ${new Date(deadline).toISOString()}`] : []),
    ...(attempt ? [`attempt ${attempt}`] : []),
  ];
  return {
    at,
    text: `event ${partition}/${epoch}-${seq} ${kindName(kind)} ${quantity} ${ref} ${id}${level} ${more.join(', ')}`,
  };
}

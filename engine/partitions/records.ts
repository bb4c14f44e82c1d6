/** Records and log entries as they lie in Redis (docs/protocol.md), read and written. */
import { Unpackr } from 'msgpackr';
import type { HoldLine, HoldRecord, LogEvent, PersistedIdRecord, ReservationState, StockItem } from '../types.js';

const unpackr = new Unpackr({ int64AsType: 'number', useRecords: false, mapsAsObjects: true });

const STATES: readonly (ReservationState | 'pending' | undefined)[] = [
  undefined,
  'held',
  'confirmed',
  'released',
  'expired',
  'returned',
  'pending',
];

type Cell = string | number;

/** Thrown for bytes that are no record of ours: the partition must not be worked on as if they were. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
}

function unpackCells(bytes: Buffer, what: string): Cell[] {
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (error) {
    throw new RecordError(`${what} is not MessagePack`, { cause: error });
  }
  if (!Array.isArray(value)) throw new RecordError(`${what} is not an array`);
  return value as Cell[];
}

function stateOf(cell: Cell | undefined, what: string): ReservationState | 'pending' {
  const state = STATES[Number(cell)];
  if (!state) throw new RecordError(`${what} has no known state`);
  return state;
}

function lineOf(ref: string, quantity: Cell, returned: Cell, counted: Cell): HoldLine {
  const colon = ref.indexOf(':');
  return {
    location: ref.slice(0, colon),
    sku: ref.slice(colon + 1),
    quantity: Number(quantity),
    returned: Number(returned),
    counted: counted === 1,
  };
}

export function readHold(id: string, bytes: Buffer): HoldRecord {
  const cells = unpackCells(bytes, `hold ${id}`);
  const lines: HoldLine[] = [];
  for (let i = 6; i + 3 < cells.length; i += 4)
    lines.push(lineOf(String(cells[i]), cells[i + 1]!, cells[i + 2]!, cells[i + 3]!));
  return { ...headOf(id, cells, `hold ${id}`), lines };
}

export function readClaim(id: string, bytes: Buffer): HoldRecord {
  const cells = unpackCells(bytes, `claim ${id}`);
  const lines: HoldLine[] = [];
  for (let i = 7; i + 1 < cells.length; i += 2) lines.push(lineOf(String(cells[i]), cells[i + 1]!, 0, 0));
  return { ...headOf(id, cells, `claim ${id}`), openedAt: Number(cells[6]), lines };
}

function headOf(id: string, cells: Cell[], what: string): Omit<HoldRecord, 'lines' | 'openedAt'> {
  return {
    id,
    state: stateOf(cells[0], what),
    deadline: Number(cells[1]),
    fingerprint: Number(cells[2]),
    attempt: Number(cells[3]),
    buyerId: String(cells[4]),
    resolvedAt: Number(cells[5]),
  };
}

/** The arrays that restoring writes back. */
export function holdCells(hold: HoldRecord): Cell[] {
  const cells = headCells(hold);
  for (const line of hold.lines)
    cells.push(`${line.location}:${line.sku}`, line.quantity, line.returned, line.counted ? 1 : 0);
  return cells;
}

export function claimCells(claim: HoldRecord): Cell[] {
  const cells = [...headCells(claim), claim.openedAt ?? claim.attempt];
  for (const line of claim.lines) cells.push(`${line.location}:${line.sku}`, line.quantity);
  return cells;
}

function headCells({ state, deadline, fingerprint, attempt, buyerId, resolvedAt }: HoldRecord): Cell[] {
  return [STATES.indexOf(state), deadline, fingerprint, attempt, buyerId, resolvedAt];
}

export function idCells({ kind, fingerprint, level }: PersistedIdRecord): Cell[] {
  return [kind, fingerprint, level.available, level.reserved, level.sold, level.version, level.updatedAt];
}

/** Letters of a stock hash, in the order they are read. */
export const STOCK_FIELDS = ['a', 'r', 's', 'v', 'u', 'l', 'o', 'c', 'w', 'h', 'm'] as const;

/** Undefined when there is no such item. */
export function readItem(ref: string, values: readonly (Buffer | null)[]): StockItem | undefined {
  if (!values[0]) return undefined;
  const number = (index: number): number | undefined => {
    const value = values[index];
    return value ? Number(value.toString()) : undefined;
  };
  const colon = ref.indexOf(':');
  const settings: StockItem['settings'] = {
    ...present('buyerLimit', number(5)),
    ...present('opensAt', number(6)),
    ...present('closesAt', number(7)),
    ...present('lowStock', number(8)),
    ...present('holdSeconds', number(9)),
    ...present('room', values[10]?.toString()),
  };
  return {
    location: ref.slice(0, colon),
    sku: ref.slice(colon + 1),
    available: number(0)!,
    reserved: number(1) ?? 0,
    sold: number(2) ?? 0,
    version: number(3) ?? 0,
    updatedAt: number(4) ?? 0,
    settings,
  };
}

function present<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [P in K]?: V });
}

/** The fields of a stock hash as text, as restoring writes them. */
export function itemFields(item: StockItem): Record<string, string> {
  const { buyerLimit, opensAt, closesAt, lowStock, holdSeconds, room } = item.settings;
  const values = [
    item.available,
    item.reserved,
    item.sold,
    item.version,
    item.updatedAt,
    buyerLimit,
    opensAt,
    closesAt,
    lowStock,
    holdSeconds,
    room,
  ];
  const fields: Record<string, string> = {};
  for (const [index, value] of values.entries()) if (value !== undefined) fields[STOCK_FIELDS[index]!] = String(value);
  return fields;
}

const EVENT_COLUMNS = 13;

/** Appends the events of one log entry to `events`. `entry` is the value of its field `e`. */
export function readEntry(partition: number, entryId: string, entry: Buffer, events: LogEvent[] = []): LogEvent[] {
  const what = `entry ${entryId} of partition ${partition}`;
  const [version, at, epoch, first, refs, columns] = unpackCells(entry, what) as unknown[];
  if (version !== 1) throw new RecordError(`${what} has version ${String(version)}, not 1`);
  if (!Array.isArray(columns) || columns.length % EVENT_COLUMNS !== 0)
    throw new RecordError(`${what} does not have ${EVENT_COLUMNS} columns an event`);
  // cmsgpack writes an empty list as an empty map.
  const names = (Array.isArray(refs) ? refs : []) as string[];
  const last = (first as number) + columns.length / EVENT_COLUMNS - 1;
  if (`${String(epoch)}-${last}` !== entryId) throw new RecordError(`${what} holds events of another id`);
  for (let i = 0; i < columns.length; i += EVENT_COLUMNS) {
    const item = columns[i + 1] as number;
    if (item > names.length) throw new RecordError(`${what} names an item it does not list`);
    events.push({
      partition,
      epoch: epoch as number,
      seq: (first as number) + i / EVENT_COLUMNS,
      at: at as number,
      kind: columns[i] as number,
      ref: item === 0 ? '' : names[item - 1]!,
      id: String(columns[i + 2]),
      quantity: columns[i + 3] as number,
      actor: String(columns[i + 4]),
      detail: String(columns[i + 5]),
      available: columns[i + 6] as number,
      reserved: columns[i + 7] as number,
      sold: columns[i + 8] as number,
      version: columns[i + 9] as number,
      deadline: columns[i + 10] as number,
      fingerprint: columns[i + 11] as number,
      attempt: columns[i + 12] as number,
    });
  }
  return events;
}

/** Reads partitions' logs, for workers. */
import type { Keys } from '../keys.js';
import type { Connection, Reply } from '../redis/connection.js';
import { textOf } from '../redis/nodes.js';
import type { LogEvent, LogRequest } from '../types.js';
import { readEntry, RecordError } from './records.js';

/** Entries of one XRANGE: bounds how long one read holds the shard. */
const PAGE = 128;
const COMMAND_TIMEOUT_MS = 5_000;
/** Logs asked for in one write: a node answers all of a write before it turns to other clients. */
const LOGS_A_WRITE = 16;

/** What has been read of a log so far. */
interface Reading {
  readonly events: LogEvent[];
  /** Id of the last entry read. */
  from: string;
  more: boolean;
}

function begin({ after }: LogRequest): Reading {
  return { events: [], from: `${after.epoch}-${after.seq}`, more: true };
}

function range(keys: Keys, { partition }: LogRequest, reading: Reading): (string | number)[] {
  return ['XRANGE', keys.fixed('log', partition), `(${reading.from}`, '+', 'COUNT', PAGE];
}

function take({ partition, maxEvents }: LogRequest, reading: Reading, page: Reply): void {
  if (!Array.isArray(page)) {
    reading.more = false;
    return;
  }
  let read = 0;
  for (const entry of page) {
    const [id, fields] = entry as [Buffer, unknown];
    reading.from = textOf(id);
    const [name, value] = (Array.isArray(fields) ? fields : []) as (Buffer | undefined)[];
    if (textOf(name) !== 'e' || !value)
      throw new RecordError(`entry ${reading.from} of partition ${partition} has no field e`);
    readEntry(partition, reading.from, value, reading.events);
    read++;
    if (reading.events.length >= maxEvents) break;
  }
  reading.more = read === PAGE && reading.events.length < maxEvents;
}

async function goOn(connection: Connection, keys: Keys, request: LogRequest, reading: Reading): Promise<LogEvent[]> {
  while (reading.more) take(request, reading, await connection.run(range(keys, request, reading), COMMAND_TIMEOUT_MS));
  return reading.events;
}

/** Whole entries after the position, in order, until at least `maxEvents` events are read or the log ends. */
export async function readLog(connection: Connection, keys: Keys, request: LogRequest): Promise<LogEvent[]> {
  return goOn(connection, keys, request, begin(request));
}

/** The same for several logs of one node, the first page of each in a shared pipeline. One promise a request, in order. */
export function readLogs(connection: Connection, keys: Keys, requests: readonly LogRequest[]): Promise<LogEvent[]>[] {
  const answers: Promise<LogEvent[]>[] = [];
  let before: Promise<unknown> = Promise.resolve();
  for (let at = 0; at < requests.length; at += LOGS_A_WRITE) {
    const some = requests.slice(at, at + LOGS_A_WRITE);
    const readings = some.map(begin);
    const commands = some.map((request, index) => range(keys, request, readings[index]!));
    const pages = before.then(() => connection.all(commands, COMMAND_TIMEOUT_MS));
    // One write after the other: what comes in between is served in between.
    before = pages;
    for (const [index, request] of some.entries()) {
      answers.push(
        pages.then((replies) => {
          const reply = replies[index]!;
          if (reply instanceof Error) throw reply;
          take(request, readings[index]!, reply);
          return goOn(connection, keys, request, readings[index]!);
        }),
      );
    }
  }
  return answers;
}

/** Reads a partition's log, for workers. */
import type { Keys } from '../keys.js';
import type { Connection } from '../redis/connection.js';
import { textOf } from '../redis/nodes.js';
import type { LogEvent } from '../types.js';
import { readEntry, RecordError } from './records.js';

/** Entries of one XRANGE: bounds how long one read holds the shard. */
const PAGE = 128;
const COMMAND_TIMEOUT_MS = 5_000;

/** Whole entries after the position, in order, until at least `maxEvents` events are read or the log ends. */
export async function readLog(
  connection: Connection,
  keys: Keys,
  partition: number,
  after: { readonly epoch: number; readonly seq: number },
  maxEvents: number,
): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  let from = `${after.epoch}-${after.seq}`;
  while (events.length < maxEvents) {
    const page = await connection.run(
      ['XRANGE', keys.fixed('log', partition), `(${from}`, '+', 'COUNT', PAGE],
      COMMAND_TIMEOUT_MS,
    );
    if (!Array.isArray(page)) break;
    let read = 0;
    for (const entry of page) {
      const [id, fields] = entry as [Buffer, unknown];
      from = textOf(id);
      const [name, value] = (Array.isArray(fields) ? fields : []) as (Buffer | undefined)[];
      if (textOf(name) !== 'e' || !value)
        throw new RecordError(`entry ${from} of partition ${partition} has no field e`);
      for (const event of readEntry(partition, from, value)) events.push(event);
      read++;
      if (events.length >= maxEvents) break;
    }
    if (read < PAGE) break;
  }
  return events;
}

import type { LogEvent } from '../../engine/types.js';

/** The log of a partition cannot be persisted as it is. The partition halts; nothing is skipped. (FAULTS 18, 21) */
export class PartitionHalted extends Error {
  override readonly name: string = 'PartitionHalted';
  constructor(
    readonly partition: number,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(reason, options);
  }
}

/** An event that cannot be understood. */
export class PoisonEvent extends PartitionHalted {
  override readonly name = 'PoisonEvent';
  constructor(event: Pick<LogEvent, 'partition' | 'epoch' | 'seq' | 'kind'>, reason: string) {
    super(event.partition, `event ${event.epoch}-${event.seq} (kind ${event.kind}): ${reason}`);
  }
}

/** Events are missing between what is persisted and what the log has. */
export class LogGap extends PartitionHalted {
  override readonly name = 'LogGap';
}

/** Events of an older epoch than recovery announced, from beyond where that one begins: they never happened. */
export class StaleHistory extends Error {
  override readonly name = 'StaleHistory';
  constructor(readonly partition: number) {
    super(`partition ${partition}: the log read is that of a master that was cut off`);
  }
}

/** SQLSTATE of an error of Postgres, '' for others. */
export function sqlState(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

/** Another process drains or recovers the partition (HF001), or it moved on since it was read (HF002): look again later. */
export function isContention(error: unknown): boolean {
  const state = sqlState(error);
  return state === 'HF001' || state === 'HF002';
}

/** Of a contention: another process has the lock. */
export function isLocked(error: unknown): boolean {
  return sqlState(error) === 'HF001';
}

/** The partitions that a contention is about, as the database says. */
export function partitionsNamed(error: unknown): number[] {
  const detail = (error as { detail?: unknown } | null)?.detail;
  return typeof detail === 'string' ? detail.split(',').map(Number) : [];
}

/**
 * The data itself is refused: it will be refused again. HF003: a change of a hold that was never held; class 22: values that do not
 * fit; class 23: constraints, e.g. a negative count.
 */
export function isRefusedData(error: unknown): boolean {
  const state = sqlState(error);
  return state === 'HF003' || /^2[23]...$/.test(state);
}

/** Errors of the engine that say nothing about the log itself. */
const ENGINE_TRANSIENT = new Set(['shard_unavailable', 'outcome_unknown', 'overloaded', 'engine_closed']);

/**
 * Whether the circumstances are to blame (a server or a link is down) and not the data. Everything that a reader of a log throws
 * otherwise is an entry that cannot be decoded.
 */
export function isTransient(error: unknown): boolean {
  const code = sqlState(error);
  if (ENGINE_TRANSIENT.has(code)) return true;
  // Postgres: any state but those isRefusedData knows; Node: E… codes of sockets; pg's own errors have neither.
  if (/^[0-9A-Z]{5}$/.test(code)) return !isRefusedData(error);
  if (/^E[A-Z]+$/.test(code)) return true;
  return error instanceof Error && /connection|timeout|terminated|client was closed|not queryable/i.test(error.message);
}

/** Class 08: connections; 53300: too many of them; 57P0x: it shuts down, was killed, starts; 25006: it is a standby. */
const AWAY = /^(08...|53300|57P0[123]|25006)$/;

/** Postgres cannot be reached or does not take anything: whatever is asked of it fails, so that it need not be asked at once again. */
export function isAway(error: unknown): boolean {
  const code = sqlState(error);
  if (/^[0-9A-Z]{5}$/.test(code)) return AWAY.test(code);
  if (ENGINE_TRANSIENT.has(code)) return false;
  if (/^E[A-Z]+$/.test(code)) return true;
  return error instanceof Error && /connection|trying to connect|terminated|not queryable/i.test(error.message);
}

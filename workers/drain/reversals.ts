/** Events of kind `reversed`: what callers had been told of and Redis lost, as rows of `reversals`. */
import type { QueryConfig } from 'pg';
import type { LogEvent } from '../../engine/types.js';
import { numbers, texts } from '../db/arrays.js';
import { KIND } from '../kinds.js';
import { PoisonEvent } from './errors.js';

export interface ReversalRow {
  readonly kind: number;
  readonly lostEpoch: number;
  readonly lostSeq: number;
  readonly id: string;
  readonly ref: string;
  readonly quantity: number;
  readonly actor: string;
  /** Where it stands in the ledger, and its time. */
  readonly epoch: number;
  readonly seq: number;
  readonly at: number;
}

export function reversalRow(event: LogEvent): ReversalRow {
  const { kind, ref, epoch, seq } = detailOf(event);
  const number = typeof kind === 'string' ? KIND[kind as keyof typeof KIND] : undefined;
  if (number === undefined || typeof ref !== 'string' || !Number.isSafeInteger(epoch) || !Number.isSafeInteger(seq))
    throw new PoisonEvent(event, 'its detail does not say what was reversed');
  return {
    kind: number,
    lostEpoch: epoch as number,
    lostSeq: seq as number,
    id: event.id,
    ref,
    quantity: event.quantity,
    actor: event.actor,
    epoch: event.epoch,
    seq: event.seq,
    at: event.at,
  };
}

function detailOf(event: LogEvent): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(event.detail);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new PoisonEvent(event, 'its detail is not a JSON object');
}

/** Several engines may have given the same answer, and each may say so twice: the first one counts. */
const REVERSALS = `
INSERT INTO reversals (partition, kind, lost_epoch, lost_seq, id, ref, quantity, actor, epoch, seq, at)
SELECT * FROM unnest($1::integer[], $2::smallint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[],
  $9::bigint[], $10::bigint[], $11::bigint[])
ON CONFLICT DO NOTHING`;

export function reversals(rows: readonly (readonly [partition: number, row: ReversalRow])[]): QueryConfig {
  return {
    name: 'reversals',
    text: REVERSALS,
    values: [
      numbers(rows.map(([partition]) => partition)),
      numbers(rows.map(([, row]) => row.kind)),
      numbers(rows.map(([, row]) => row.lostEpoch)),
      numbers(rows.map(([, row]) => row.lostSeq)),
      texts(rows.map(([, row]) => row.id)),
      texts(rows.map(([, row]) => row.ref)),
      numbers(rows.map(([, row]) => row.quantity)),
      texts(rows.map(([, row]) => row.actor)),
      numbers(rows.map(([, row]) => row.epoch)),
      numbers(rows.map(([, row]) => row.seq)),
      numbers(rows.map(([, row]) => row.at)),
    ],
  };
}

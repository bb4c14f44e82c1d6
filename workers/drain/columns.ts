/** Columns of rows of several partitions, for statements that take rows as columns. */
import type { QueryConfig } from 'pg';
import { numbers, texts } from '../db/arrays.js';

/** Rows for COPY. */
export interface CopyConfig {
  readonly copy: string;
  readonly rows: string;
}

export type Statement = QueryConfig | CopyConfig;

/** A row and its partition. */
export type Of<R> = readonly [partition: number, row: R];

export function ints<R>(rows: readonly Of<R>[], value: (row: R) => number): string {
  return numbers(rows.map(([, row]) => value(row)));
}

export function strings<R>(rows: readonly Of<R>[], value: (row: R) => string): string {
  return texts(rows.map(([, row]) => value(row)));
}

export function partitionsOf(rows: readonly Of<unknown>[]): string {
  return numbers(rows.map(([partition]) => partition));
}

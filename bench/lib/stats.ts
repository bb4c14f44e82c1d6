/** Medians, metrics, goals. */
import type { Goal, Metric, Report } from './types.js';

export function median(values: readonly number[]): number {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function metric(report: Report, key: string, label: string, unit: string, rounds: readonly number[]): Metric {
  const made = { key, label, unit, rounds, value: median(rounds) };
  report.metrics.push(made);
  return made;
}

export function goal(
  report: Report,
  text: string,
  value: number,
  compare: Goal['compare'],
  target: number,
  unit = '',
): void {
  const met = Number.isFinite(value) && (compare === '>=' ? value >= target : value <= target);
  report.goals.push({ text, value, compare, target, unit, met });
}

export interface Variant<T> {
  readonly name: string;
  readonly measure: (round: number) => Promise<T>;
}

/** A B C A B C …: whatever drifts on the machine meets every variant alike. */
export async function interleave<T>(
  rounds: number,
  variants: readonly Variant<T>[],
  say: (line: string) => void,
  describe: (result: T) => string,
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>(variants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const { name, measure } of variants) {
      const result = await measure(round);
      results.get(name)!.push(result);
      say(`round ${round + 1}/${rounds}  ${name}: ${describe(result)}`);
    }
  return results;
}

/** The ratio of every round of `a` to the same round of `b`. */
export function ratios(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, round) => value / b[round]!);
}

export const seconds = (amount: number): number => amount * 1_000;
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

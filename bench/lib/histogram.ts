/** Latencies in HDR histograms: microseconds, three significant digits, up to a minute. */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

const LONGEST_US = 60_000_000;

export function histogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_US,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 32,
  });
}

export function record(into: Histogram, ms: number): void {
  into.recordValue(Math.min(LONGEST_US, Math.max(1, Math.round(ms * 1_000))));
}

export function encode(from: Histogram): string {
  return encodeIntoCompressedBase64(from);
}

export function decode(text: string): Histogram {
  return decodeFromCompressedBase64(text, 32, false);
}

export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** In milliseconds. */
export function percentiles(from: Histogram): Percentiles {
  const at = (percentile: number) => from.getValueAtPercentile(percentile) / 1_000;
  return {
    count: from.totalCount,
    p50: at(50),
    p95: at(95),
    p99: at(99),
    p999: at(99.9),
    max: from.maxValue / 1_000,
  };
}

export function describe({ p50, p95, p99, max }: Percentiles): string {
  return `p50 ${p50.toFixed(2)} ms, p95 ${p95.toFixed(2)}, p99 ${p99.toFixed(2)}, max ${max.toFixed(1)}`;
}

/**
 * A storefront's back end with the client and its local replica: reads as fast as it can, and looks how old what it hears is.
 * A process of its own, told by JSON on its standard input.
 */
import { connect } from '../../client/index.js';
import { encode, histogram, record } from './histogram.js';

export interface ReaderOptions {
  readonly url: string;
  readonly token: string;
  readonly location: string;
  readonly skus: readonly string[];
  readonly warmupMs: number;
  readonly durationMs: number;
}

export interface ReaderResult {
  readonly reads: number;
  readonly seconds: number;
  readonly changes: number;
  /** Unknown items met while reading; must be 0. */
  readonly unknown: number;
  /** From the change in the store to its arrival in the replica, HDR. */
  readonly arrival: string;
  /** The bound the replica itself gave for the age of what was read, HDR; sampled once a slice. */
  readonly bound: string;
  /** Keeps the reads from being optimised away. */
  readonly sum: number;
}

/** Long enough to measure reading, short enough that news are heard. */
const SLICE_MS = 2;
const READS_A_LOOK = 20_000;

let text = '';
for await (const chunk of process.stdin) text += String(chunk);
const options = JSON.parse(text) as ReaderOptions;
const { url, token, location, skus, warmupMs, durationMs } = options;
const client = await connect({ url, token });
await client.subscribe(skus.map((sku) => ({ location, sku })));

const arrival = histogram();
const bound = histogram();
const from = performance.now() + warmupMs;
const until = from + durationMs;
let changes = 0;
client.replica.onChange((item) => {
  if (performance.now() < from) return;
  changes++;
  record(arrival, Math.max(0, Date.now() - item.updatedAt));
});

let reads = 0;
let unknown = 0;
let sum = 0;
let next = 0;

function look(): void {
  for (let n = 0; n < READS_A_LOOK; n++) {
    const item = client.replica.get(location, skus[next]!);
    next = next + 1 === skus.length ? 0 : next + 1;
    if (item === undefined) unknown++;
    else sum += item.available;
  }
}

function slice(): void {
  const startedAt = performance.now();
  const measured = startedAt >= from;
  while (performance.now() - startedAt < SLICE_MS) {
    look();
    if (measured) reads += READS_A_LOOK;
  }
  const item = client.replica.get(location, skus[next]!);
  if (measured && item) record(bound, client.replica.staleMs(item));
  if (performance.now() < until) setImmediate(slice);
  else finish();
}

function finish(): void {
  const seconds = (performance.now() - from) / 1_000;
  const found: ReaderResult = {
    reads,
    seconds,
    changes,
    unknown,
    arrival: encode(arrival),
    bound: encode(bound),
    sum,
  };
  client.close();
  process.stdout.write(`${JSON.stringify(found)}\n`, () => process.exit(0));
}

slice();

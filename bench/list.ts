/** All benchmarks, in the order they are run and reported. */
import { reserveEngine } from './drivers/reserve-engine.js';
import type { Benchmark } from './lib/types.js';

export const benchmarks: readonly Benchmark[] = [reserveEngine];

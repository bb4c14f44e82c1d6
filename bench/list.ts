/** All benchmarks, in the order they are run and reported. */
import { getBatch } from './drivers/get-batch.js';
import { getOne } from './drivers/get-one.js';
import { growth } from './drivers/growth.js';
import { lifeCycle } from './drivers/life-cycle.js';
import { memory } from './drivers/memory.js';
import { overload } from './drivers/overload.js';
import { reserveEngine } from './drivers/reserve-engine.js';
import { reserveHttp } from './drivers/reserve-http.js';
import { rebuildCluster } from './drivers/rebuild.js';
import { replica } from './drivers/replica.js';
import { stream } from './drivers/stream.js';
import type { Benchmark } from './lib/types.js';

export const benchmarks: readonly Benchmark[] = [
  reserveEngine,
  reserveHttp,
  getOne,
  getBatch,
  stream,
  replica,
  lifeCycle,
  memory,
  growth,
  overload,
  rebuildCluster,
];

/** All faults, in the order of the table. */
import type { Fault } from './types.js';

export const FAULTS: readonly Fault[] = [];

/** What `bench/results/latest.json` holds. */
import type { Machine } from '../lib/machine.js';
import type { Report, Settings } from '../lib/types.js';

export interface StoredReport extends Report {
  /** When this benchmark was run, and from which commit. */
  at?: string;
  commit?: string;
}

export interface Results {
  at: string;
  quick: boolean;
  settings: Settings;
  machine: Machine;
  reports: StoredReport[];
}

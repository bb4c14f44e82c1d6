/** Readiness: whether this process should be sent requests. */
import type { Engine } from '../engine/types.js';
import type { Database } from './sql/database.js';

const ENGINE_WAIT_MS = 10_000;
const DATABASE_CHECK_MS = 5_000;

export interface Readiness {
  readonly ready: boolean;
  readonly draining: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly required: boolean }[];
}

export class Health {
  private engineReady = false;
  private databaseReachable = false;
  private draining = false;
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(
    engine: Engine,
    private readonly database: Database | undefined,
  ) {
    void this.waitFor(engine);
    if (database !== undefined) {
      void this.look(database);
      this.timer = setInterval(() => void this.look(database), DATABASE_CHECK_MS);
      this.timer.unref();
    }
  }

  report(): Readiness {
    const checks = [{ name: 'engine', ok: this.engineReady, required: true }];
    // Without Postgres selling goes on; what reads from it answers database_unavailable.
    if (this.database !== undefined) checks.push({ name: 'database', ok: this.databaseReachable, required: false });
    return { ready: this.engineReady && !this.draining, draining: this.draining, checks };
  }

  /** From here on the process is not to be sent anything more. */
  drain(): void {
    this.draining = true;
  }

  close(): void {
    clearInterval(this.timer);
    this.draining = true;
  }

  /** Partitions that are fenced later answer for themselves: the others go on selling, so readiness stays. */
  private async waitFor(engine: Engine): Promise<void> {
    while (!this.draining && !this.engineReady) {
      try {
        await engine.ready(ENGINE_WAIT_MS);
        this.engineReady = true;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 250).unref());
      }
    }
  }

  private async look(database: Database): Promise<void> {
    this.databaseReachable = await database.reachable();
  }
}

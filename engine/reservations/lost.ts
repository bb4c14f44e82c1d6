/**
 * Reservations over several partitions of which something is lost that callers were told: their claims and parts are looked at at once.
 * The sweep would do so at their deadlines, and until then they would be half of what was told.
 */
import type { Context } from '../context.js';
import { EngineClosed } from '../errors.js';
import type { Places } from './place.js';
import { Pass, sweepClaim } from './sweep-claims.js';
import { sweepHold } from './sweep.js';

/** Looked at at once, and kept; more than that are left to the sweep. */
const AT_ONCE = 16;
const MOST = 20_000;
/** While the partitions concerned are not open yet. */
const AGAIN_MS = 1_000;
const TRIES = 60;

export class Losses {
  private readonly waiting = new Map<string, number>();
  private running = false;

  constructor(
    private readonly context: Context,
    private readonly places: Places,
  ) {}

  /** Something that was answered about these reservations is gone. */
  add(ids: Iterable<string>): void {
    for (const id of ids) {
      // Alone in its partition it is lost as a whole.
      if (this.places.get(id)?.attempt === 0) continue;
      if (this.waiting.size < MOST) this.waiting.set(id, TRIES);
    }
    if (!this.running && this.waiting.size > 0) void this.run();
  }

  private async run(): Promise<void> {
    this.running = true;
    try {
      while (this.waiting.size > 0) {
        const ids = [...this.waiting.keys()];
        const pass = new Pass();
        const work = async (): Promise<void> => {
          for (let id = ids.shift(); id !== undefined; id = ids.shift()) await this.look(id, pass);
        };
        await Promise.all(Array.from({ length: AT_ONCE }, work));
        if (this.waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS).unref());
      }
    } catch {
      // The engine was closed.
      this.waiting.clear();
    } finally {
      this.running = false;
    }
  }

  private async look(id: string, pass: Pass): Promise<void> {
    const tries = this.waiting.get(id)! - 1;
    if (!(await this.isSettled(id, pass)) && tries > 0) this.waiting.set(id, tries);
    else this.waiting.delete(id);
  }

  private async isSettled(id: string, pass: Pass): Promise<boolean> {
    const { context } = this;
    try {
      const swept = [await sweepClaim(context, context.partitions.home(id), id, pass)];
      for (const { partition } of this.places.get(id)?.parts ?? [])
        swept.push(await sweepHold(context, partition, id, pass));
      return swept.every(({ later }) => later === 0);
    } catch (error) {
      if (error instanceof EngineClosed) throw error;
      return false;
    }
  }
}

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
/** While the partitions concerned are not open yet. What says that it takes longer is looked at later. */
const AGAIN_MS = 1_000;
const TRIES = 60;

interface Waiting {
  readonly tries: number;
  /** By performance.now(). */
  readonly at: number;
}

export class Losses {
  private readonly waiting = new Map<string, Waiting>();
  private running = false;

  constructor(
    private readonly context: Context,
    private readonly places: Places,
  ) {}

  /** Something that was answered about these reservations is gone. */
  add(ids: Iterable<string>): void {
    this.places.losses++;
    for (const id of ids) {
      const place = this.places.get(id);
      // Alone in its partition it is lost as a whole.
      if (place?.attempt === 0) continue;
      // Whoever confirms it looks first, from now on.
      if (place?.sure) this.places.remember(id, { ...place, sure: false });
      if (this.waiting.size < MOST) this.waiting.set(id, { tries: TRIES, at: 0 });
    }
    if (!this.running && this.waiting.size > 0) void this.run();
  }

  private async run(): Promise<void> {
    this.running = true;
    try {
      while (this.waiting.size > 0) {
        const now = performance.now();
        const ids = [...this.waiting].filter(([, { at }]) => at <= now).map(([id]) => id);
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
    const tries = (this.waiting.get(id)?.tries ?? 0) - 1;
    // What is lost of it from now on is looked at once more.
    this.waiting.delete(id);
    const later = await this.sweep(id, pass);
    if (later > 0 && tries > 0 && !this.waiting.has(id))
      this.waiting.set(id, { tries, at: performance.now() + Math.max(later, AGAIN_MS) });
  }

  /** @returns 0, or ms after which to look again. */
  private async sweep(id: string, pass: Pass): Promise<number> {
    const { context } = this;
    const home = context.partitions.home(id);
    // A home that does not answer is not waited for anew by each of them.
    if (pass.away.has(home)) return AGAIN_MS;
    try {
      const swept = [await sweepClaim(context, home, id, pass)];
      for (const { partition } of this.places.get(id)?.parts ?? [])
        swept.push(await sweepHold(context, partition, id, pass));
      return Math.max(...swept.map(({ later }) => later));
    } catch (error) {
      if (error instanceof EngineClosed) throw error;
      pass.away.add(home);
      return AGAIN_MS;
    }
  }
}

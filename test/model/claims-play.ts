/** A reservation over two partitions, whose home is a third, played call by call: what is lost, and when, the test says. */
import { idAtHome } from '../../engine/ids.js';
import type { Outcome, Reservation } from '../../engine/types.js';
import { ClaimsWorld, turn } from './claims-world.js';

export const QUANTITY = 2;
/** Past the time an incomplete claim has, and past that after which the sweep looks again. */
export const A_WHILE_MS = 13_000;
export const { partitions } = new ClaimsWorld([]);

function refIn(partition: number): string {
  for (let n = 0; ; n++) if (partitions.of(`m:s${n}`) === partition) return `m:s${n}`;
}

/** Its home is partition 0, its parts are 1 and 2. */
export const ID = idAtHome(0, partitions);
export const REFS = [refIn(1), refIn(2)];
export const LINES = REFS.map((ref) => ({ location: 'm', sku: ref.slice(2), quantity: QUANTITY }));
export const REQUEST = { reservationId: ID, lines: LINES, holdSeconds: 60 };

export class Play {
  readonly world = new ClaimsWorld(REFS);

  /** Until it is answered; time passes where it has to. */
  async done<T>(work: Promise<T>): Promise<T> {
    let open = true;
    const watched = work.finally(() => (open = false));
    watched.catch(() => undefined);
    while (open) {
      await turn();
      const call = this.world.waiting.shift();
      if (call) this.world.run(call);
      else if (open) this.world.ring();
    }
    return watched;
  }

  /** How often a script has been called until now. */
  count(name: string): () => number {
    let calls = 0;
    const run = this.world.run.bind(this.world);
    this.world.run = (call) => {
      if (call.name === name) calls += call.ops.length;
      run(call);
    };
    return () => calls;
  }

  /** Carries out what was asked for, call by call, until it is so; what else was asked for then is still on its way. */
  async until(met: () => boolean): Promise<void> {
    for (await turn(); !met(); await turn()) {
      const call = this.world.waiting.shift();
      if (!call) throw new Error('nothing is on its way any more');
      this.world.run(call);
    }
  }

  /** The shard is written back from Postgres as it was when `was` was last so. */
  restore(partition: number, was: (phase: string) => boolean): void {
    const shard = this.world.shards[partition]!;
    const { past } = shard.main;
    const kept = past.findLastIndex(({ claims, holds }) => was((claims.get(ID) ?? holds.get(ID))?.phase ?? 'gone'));
    shard.restore(past.length - 1 - kept, this.world.now);
  }

  async sweepAll(rounds: number, order: readonly number[] = [0, 1, 2]): Promise<void> {
    const sweeper = this.world.actor('sweeper');
    for (let round = 0; round < rounds; round++) {
      this.world.now += A_WHILE_MS;
      for (const partition of order) await this.done(sweeper.sweep(partition));
    }
  }

  /** Sweeps every partition once a second, always by the same process. */
  async sweepFor(seconds: number, sweeper: ReturnType<ClaimsWorld['actor']>): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.world.now += 1_000;
      for (const partition of [0, 1, 2]) await this.done(sweeper.sweep(partition));
    }
  }

  get claim(): string {
    return this.world.shards[0]!.main.state.claims.get(ID)?.phase ?? 'gone';
  }

  get parts(): string[] {
    return [1, 2].map((at) => this.world.shards[at]!.main.state.holds.get(ID)?.phase ?? 'gone');
  }

  get available(): number[] {
    return REFS.map((ref, n) => this.world.shards[n + 1]!.main.state.items.get(ref)!.available);
  }
}

export function play(run: (play: Play) => Promise<void>): Promise<void> {
  const stage = new Play();
  return stage.world.inItsTime(() => run(stage));
}

export const statusOf = (outcome: Outcome<Reservation>): string =>
  'value' in outcome ? outcome.value.status : outcome.status;

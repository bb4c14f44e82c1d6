/** Runs of a claim under faults: who asks what, what breaks and when, and what must be true when all is over. */
import { idAtHome } from '../../engine/ids.js';
import type { Ack, Outcome, Reservation } from '../../engine/types.js';
import { ClaimsWorld, PARTITIONS, turn, UNITS } from './claims-world.js';

/**
 * fail: the master is lost, with all that no WAIT has vouched for, or (`fail-1`) with its last write only. cut: it is cut off, and the
 * callers (or the sweeper) do not notice. lag: its replica no longer keeps up, and takes over in the end. restart: there is no
 * replica, and the last write is gone. wipe, wipe-3: master and replicas are lost, and Postgres lacked the last write, or three. kill: a
 * process of a caller dies.
 */
export const FAULTS = [
  'none',
  'fail',
  'fail-1',
  'cut',
  'cut-sweeper',
  'lag',
  'restart',
  'wipe',
  'wipe-3',
  'kill',
] as const;
export type Fault = (typeof FAULTS)[number];

export interface Plan {
  readonly story: keyof typeof STORIES;
  readonly ack: Ack;
  readonly fault: Fault;
  /** Which of home and parts it happens to; for `kill` how many processes live already. */
  readonly where: number;
  /** After so many script calls. */
  readonly at: number;
  /** After so many calls the clock goes on by `jump` and everything is swept; -1 never. */
  readonly sweepAt: number;
  readonly jump: number;
  /** At these calls the youngest that waits is carried out instead of the oldest. */
  readonly turns: readonly number[];
  readonly deceit: ClaimsWorld['deceit'];
}

const HOLD_SECONDS = 60;
const QUANTITY = 2;
const world = new ClaimsWorld([]);
const refIn = (partition: number): string => {
  for (let n = 0; ; n++) if (world.partitions.of(`m:s${n}`) === partition) return `m:s${n}`;
};
/** The home holds no part; each of the three may be lost apart. */
const REFS = [refIn(1), refIn(2)];
const ID = (() => {
  for (let n = 0; ; n++) if (world.partitions.home(`claim-${n}`) === 0) return `claim-${n}`;
})();
const LINES = REFS.map((ref) => ({ location: 'm', sku: ref.slice(2), quantity: QUANTITY }));
const REQUEST = { reservationId: ID, lines: LINES, holdSeconds: HOLD_SECONDS };

interface Told {
  readonly what: string;
  readonly outcome: Outcome<Reservation>;
}

type Cast = ReturnType<ClaimsWorld['actor']>;

class Run {
  readonly world = new ClaimsWorld(REFS);
  readonly told: Told[] = [];
  readonly people: Cast[] = [];

  constructor(readonly plan: Plan) {
    this.world.deceit = plan.deceit;
    if (plan.fault === 'restart') this.world.shards[plan.where]!.alone = true;
  }

  /** A process of its own, which knows nothing of what others have asked. */
  cast(name: string): Cast {
    const cast = this.world.actor(name);
    cast.actor.behind = this.cutFor('people');
    this.people.push(cast);
    return cast;
  }

  private cutSide: 'none' | 'people' | 'sweeper' = 'none';
  private cutFor(side: 'people' | 'sweeper'): boolean {
    return this.cutSide === side;
  }

  async note(what: string, asked: Promise<Outcome<Reservation>>): Promise<Outcome<Reservation> | undefined> {
    const outcome = await asked.catch(() => undefined);
    if (outcome) this.told.push({ what, outcome });
    return outcome;
  }

  /** Problems; empty when all is well. */
  async play(): Promise<{ steps: number; problems: string[] }> {
    return this.world.inItsTime(async () => {
      const steps = await this.act();
      this.heal();
      await this.settle();
      return { steps, problems: this.judge() };
    });
  }

  private async act(): Promise<number> {
    void STORIES[this.plan.story](this);
    let step = 0;
    for (; ; step++) {
      await turn();
      if (step === this.plan.at) this.strike();
      if (step === this.plan.sweepAt) this.startSweep();
      await turn();
      if (!this.next(step) && !this.world.ring()) {
        await turn();
        if (this.world.waiting.length === 0 && step > Math.max(this.plan.at, this.plan.sweepAt)) return step;
      }
      if (step > 3_000) throw new Error(`it does not end: ${JSON.stringify(this.plan)}`);
    }
  }

  private next(step: number): boolean {
    const { waiting } = this.world;
    const call = this.plan.turns.includes(step) ? waiting.pop() : waiting.shift();
    if (!call) return false;
    this.world.run(call);
    return true;
  }

  private strike(): void {
    const { fault, where } = this.plan;
    const shard = this.world.shards[where]!;
    if (fault === 'fail') shard.failOver();
    else if (fault === 'fail-1' || fault === 'restart') shard.failOver(1);
    else if (fault === 'wipe' || fault === 'wipe-3') shard.restore(fault === 'wipe' ? 1 : 3, this.world.now);
    else if (fault === 'lag') shard.lagging = true;
    else if (fault === 'kill') {
      const victim = this.people.at(-1 - (where % Math.max(1, this.people.length)));
      if (victim) this.world.kill(victim.actor);
    } else if (fault === 'cut' || fault === 'cut-sweeper') {
      shard.cut();
      this.cutSide = fault === 'cut' ? 'people' : 'sweeper';
      if (fault === 'cut') for (const { actor } of this.people) actor.behind = true;
    }
  }

  private startSweep(): void {
    this.world.now += this.plan.jump;
    const sweeper = this.world.actor('sweeper');
    sweeper.actor.behind = this.cutFor('sweeper');
    for (let partition = 0; partition < PARTITIONS; partition++) sweeper.sweep(partition).catch(() => undefined);
  }

  /** Nobody is cut off any more; a shard whose replica was behind has lost what it alone knew. */
  private heal(): void {
    for (const shard of this.world.shards) {
      shard.old = undefined;
      if (shard.lagging) shard.failOver();
      shard.lagging = false;
    }
    this.cutSide = 'none';
    // Whoever was told something that is gone now notices.
    if (this.wiped) for (const { lost } of this.people) lost([ID]);
  }

  /** Time passes until everything that waits for it has happened. */
  private async settle(): Promise<void> {
    for (let round = 0; round < 10; round++) {
      this.world.now += 13_000;
      const sweeper = this.world.actor('last');
      const sweeps = Array.from({ length: PARTITIONS }, (_, partition) => sweeper.sweep(partition));
      let open = true;
      void Promise.allSettled(sweeps).then(() => (open = false));
      while (open) {
        await turn();
        const call = this.world.waiting.shift();
        if (call) this.world.run(call);
        else if (open) this.world.ring();
      }
    }
  }

  /** With a whole shard also what its replicas had is gone; only what Postgres had is kept to. */
  private get wiped(): boolean {
    return this.plan.fault.startsWith('wipe');
  }

  private judge(): string[] {
    const { shards, broken, notices } = this.world;
    const problems = [...broken];
    const claim = shards[0]!.main.state.claims.get(ID);
    const sold = isSold(claim?.phase);
    const parts = [1, 2].map((at) => shards[at]!.main.state.holds.get(ID)?.phase ?? 'gone');
    const safely = this.wiped ? [] : this.told.filter(({ outcome }) => 'ack' in outcome && outcome.ack !== 'executed');
    const confirmed = safely.filter(({ what }) => what.startsWith('confirm'));
    if (claim?.phase === 'held' || claim?.phase === 'pending') problems.push(`the claim is still ${claim.phase}`);
    if (parts.includes('held')) problems.push(`parts are ${parts.join(' and ')}`);
    // Sold units that have come back are as good as never sold.
    if (parts.some((part) => (sold ? !isSold(part) : part === 'confirmed'))) {
      // Units that were held by one node alone may be gone with it; never unnoticed, and never after a wider ack.
      const excused = sold && notices.length > 0 && confirmed.length === 0;
      if (!excused) problems.push(`the claim is ${claim?.phase ?? 'gone'}, the parts are ${parts.join(' and ')}`);
    }
    for (const { what, outcome } of confirmed)
      if (!sold)
        problems.push(`${what} was answered ${outcome.status}, ${(outcome as { ack: Ack }).ack}; nothing is sold`);
    // Nobody gives it back, and it is paid long before its deadline (but where a sweep lets the clock go on).
    const held = safely.some(({ what }) => what.startsWith('reserve'));
    for (const { what, outcome } of this.told)
      if (what.startsWith('confirm') && held && outcome.status === 'reservation_not_found')
        problems.push(`${what}: what was promised to be held is not known`);
    return [...problems, ...this.judgeReturns()];
  }

  /** A whole return is decided at home and the parts follow; one of some units is as its caller was told. */
  private judgeReturns(): string[] {
    const { shards, notices } = this.world;
    const wholly = shards[0]!.main.state.claims.get(ID)?.phase === 'returned';
    const holds = [1, 2].map((at) => shards[at]!.main.state.holds.get(ID));
    const back = holds.map((hold) => hold?.lines[0]!.returned ?? 0);
    const shown = `the claim is ${wholly ? '' : 'not '}returned, of its parts ${back.join(' and ')} units`;
    const problems: string[] = [];
    const excused = notices.length > 0 && holds.includes(undefined);
    if (!excused && wholly && back.some((units) => units !== QUANTITY)) problems.push(shown);
    // A home without replicas may forget it; then all is back, and only the name of it is missing.
    const all = (this.plan.fault === 'restart' || this.wiped) && back.every((units) => units === QUANTITY);
    if (!wholly && !all && this.plan.story === 'giveBack' && back.some((units) => units > 0)) problems.push(shown);
    for (const { what, outcome } of this.told) {
      if (!what.startsWith('return') || this.wiped) continue;
      const least = what === 'return' ? QUANTITY : 1;
      if (!('ack' in outcome)) {
        if (back.some((units) => units > 0)) problems.push(`${what} was refused: ${outcome.status}; ${shown}`);
      } else if (outcome.ack !== 'executed' && back.some((units) => units < least))
        problems.push(`${what} was answered ${outcome.status}, ${outcome.ack}; ${shown}`);
    }
    return problems;
  }
}

const isSold = (phase: string | undefined): boolean => phase === 'confirmed' || phase === 'returned';

type Story = (run: Run) => Promise<void>;

export const STORIES = {
  /** One process holds, another confirms. */
  buy: async (run) => {
    const { ack } = run.plan;
    await run.note('reserve', run.cast('holder').reserve(REQUEST, { ack }));
    await run.note('confirm', run.cast('payer').confirm(ID, { ack }));
  },
  /** The same process does both, and remembers. */
  buyHere: async (run) => {
    const { ack } = run.plan;
    const cast = run.cast('holder');
    await run.note('reserve', cast.reserve(REQUEST, { ack }));
    await run.note('confirm', cast.confirm(ID, { ack }));
  },
  /** Someone gives it back while someone else pays. */
  quarrel: async (run) => {
    const { ack } = run.plan;
    await run.note('reserve', run.cast('holder').reserve(REQUEST, { ack }));
    await Promise.all([
      run.note('confirm', run.cast('payer').confirm(ID, { ack })),
      run.note('release', run.cast('giver').release(ID, { ack })),
    ]);
  },
  /** Whoever does not hear of it asks again, under the same id, before and after it is paid. */
  again: async (run) => {
    const { ack } = run.plan;
    await run.note('reserve', run.cast('holder').reserve(REQUEST, { ack }));
    const second = run.cast('second');
    await run.note('reserve again', second.reserve(REQUEST, { ack }));
    await run.note('confirm', second.confirm(ID, { ack }));
    await run.note('reserve once more', run.cast('third').reserve(REQUEST, { ack }));
    await run.note('confirm again', run.cast('fourth').confirm(ID, { ack }));
  },
  /** Held as fast as it goes, and made sure of afterwards. */
  sure: async (run) => {
    const { ack } = run.plan;
    await run.note('reserve', run.cast('holder').reserve(REQUEST, { ack: 'executed' }));
    await run.note('reserve again', run.cast('second').reserve(REQUEST, { ack: 'replicated' }));
    await run.note('confirm', run.cast('payer').confirm(ID, { ack }));
  },
  /** Whatever is free of the second item is taken by others between the holding and the paying. */
  rival: async (run) => {
    const { ack } = run.plan;
    await run.note('reserve', run.cast('holder').reserve(REQUEST, { ack }));
    const rival = run.cast('rival');
    for (const quantity of [UNITS - QUANTITY, QUANTITY]) {
      const reservationId = idAtHome(2, run.world.partitions);
      await rival.reserve({ reservationId, lines: [{ ...LINES[1]!, quantity }] }).catch(() => undefined);
      await rival.confirm(reservationId).catch(() => undefined);
    }
    await run.note('confirm', run.cast('payer').confirm(ID, { ack }));
  },
  /** All that was bought is brought back. */
  giveBack: async (run) => {
    await STORIES.buyHere(run);
    await run.note('return', run.cast('desk').return(ID, undefined, { ack: run.plan.ack }));
  },
  /** One unit of each line is brought back. */
  giveSome: async (run) => {
    await STORIES.buyHere(run);
    const some = LINES.map((line) => ({ ...line, quantity: 1 }));
    await run.note('return some', run.cast('desk').return(ID, some, { ack: run.plan.ack }));
  },
} satisfies Record<string, Story>;

export function play(plan: Plan) {
  return new Run(plan).play();
}

export const PLAIN = {
  ack: 'replicated',
  fault: 'none',
  where: 0,
  at: -1,
  sweepAt: -1,
  jump: 0,
  turns: [],
  deceit: 'none',
} as const;
export const EVERYWHERE = [0, 1, 2] as const;
/** Past the time an incomplete claim has; past its deadline. */
export const JUMPS = [11_000, HOLD_SECONDS * 1_000] as const;

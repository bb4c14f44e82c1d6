/** How late the event loop runs: a process that is stuck must not take on more, and what waited meanwhile is refused at once. */
import type { Gate } from './gate.js';
import { levelOf, type Marks, OPEN } from './marks.js';

const TICK_MS = 20;
/** It counts as late until it has been in time for so long. */
const CALM_MS = 100;

export class LoopDelay {
  private readonly timer: NodeJS.Timeout;
  private last = performance.now();
  private lateAt = 0;

  constructor(
    private readonly gate: Gate,
    /** In ms; undefined: nothing is closed. */
    private readonly marks: Marks | undefined,
    private readonly changed: (from: number, to: number, ms: number) => void,
  ) {
    this.timer = setInterval(() => this.tick(performance.now()), TICK_MS);
    this.timer.unref();
  }

  /**
   * A request arrives. A process that was stopped from outside finds what piled up in its sockets before its timers run: the
   * timer that is overdue by more than is allowed is not waited for.
   */
  arrival(now: number): void {
    if (this.marks !== undefined && now - this.last > TICK_MS + this.marks.holds) this.tick(now);
  }

  /** Timers come first in a turn of the loop: what has piled up in the sockets meanwhile is read after this. */
  tick(now: number): void {
    const { marks, gate } = this;
    const late = Math.max(0, now - this.last - TICK_MS);
    this.last = now;
    if (marks === undefined) return;
    gate.fill.event_loop = late / marks.holds;
    const before = gate.level('event_loop', 0);
    const level = levelOf(late, before, marks);
    if (level >= before && level !== OPEN) this.lateAt = now;
    else if (now - this.lateAt < CALM_MS) return;
    if (gate.setAll('event_loop', level) !== level) this.changed(before, level, late);
  }

  close(): void {
    clearInterval(this.timer);
  }
}

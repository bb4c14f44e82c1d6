/** Point 6: events are numbered without a gap, once each; epochs only grow, and nothing comes in under an old one. */
import type { Movement } from '../final/types.js';
import type { Checking } from './context.js';
import { KIND } from './kinds.js';

export function checkNumbers({ model, final, partitions, report }: Checking): void {
  for (let partition = 0; partition < partitions; partition++) {
    const events = model.byPartition.get(partition) ?? [];
    const wrong = (what: string, ...about: Movement[]): void =>
      report({ point: 6, what: `partition ${partition}: ${what}`, ids: about.map(({ id }) => id), events: about });
    for (const [index, event] of events.entries()) {
      const before = events[index - 1];
      if (event.seq !== (before?.seq ?? 0) + 1)
        wrong(`event ${event.seq} stands after event ${before?.seq ?? 0}`, ...(before ? [before, event] : [event]));
      const opens = event.kind === KIND.epochOpened;
      if (before && event.epoch < before.epoch)
        wrong(`event ${event.seq} is of an older epoch than the one before`, before, event);
      if (event.epoch !== (before?.epoch ?? 0) && !opens)
        wrong(`epoch ${event.epoch} begins without being opened`, event);
      if (opens && event.epoch === before?.epoch) wrong(`epoch ${event.epoch} is opened twice`, before, event);
    }
    const last = events.at(-1);
    const meta = final.redis.meta.get(partition);
    const position = final.postgres.positions.get(partition);
    if (last?.seq !== meta?.seq) wrong(`the ledger ends with event ${last?.seq}, Redis with ${meta?.seq}`);
    if (last?.epoch !== meta?.epoch) wrong(`the ledger is in epoch ${last?.epoch}, Redis in ${meta?.epoch}`);
    if (last?.seq !== position?.seq || last?.epoch !== position?.logEpoch)
      wrong(`the ledger ends with ${last?.epoch}-${last?.seq}, its position is ${position?.logEpoch}-${position?.seq}`);
    if (position && meta && position.epoch > meta.epoch)
      wrong(`epoch ${position.epoch} was announced, Redis is in ${meta.epoch}`);
  }
  for (const { partition, reason } of final.postgres.quarantine)
    report({ point: 6, what: `partition ${partition} is halted: ${reason}` });
}

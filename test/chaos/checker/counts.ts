/** Point 1 beyond the ledger, also where it lacks an event: no count is negative in any answer or in either store. */
import type { Level } from '../final/types.js';
import type { Call } from '../history.js';
import type { CheckInput } from './context.js';
import type { Report } from './violation.js';

export function checkCounts({ calls, final }: Pick<CheckInput, 'calls' | 'final'>, report: Report): void {
  for (const [store, { items }] of Object.entries({ Redis: final.redis, Postgres: final.postgres }))
    for (const [ref, level] of items)
      if (isNegative(level))
        report({ point: 1, what: `${ref} has a negative count in ${store}: ${text(level)}`, refs: [ref] });
  for (const call of calls)
    for (const { ref, ...level } of levelsIn(call))
      if (isNegative(level))
        report({
          point: 1,
          what: `call ${call.n} was told a negative count of ${ref}: ${text(level)}`,
          refs: [ref],
          calls: [call],
        });
}

type Counts = Pick<Level, 'available' | 'reserved' | 'sold'>;

const isNegative = ({ available, reserved, sold }: Counts): boolean => Math.min(available, reserved, sold) < 0;
const text = ({ available, reserved, sold }: Counts): string => `${available} + ${reserved} + ${sold}`;

/** Levels are what reads and one-step changes answer with. */
function levelsIn({ answer }: Call): (Counts & { ref: string })[] {
  const body = answer?.body as { items?: unknown[] } | undefined;
  if (answer?.outcome !== 'ok' || typeof body !== 'object' || body === null) return [];
  const levels = (body.items ?? [body]) as (Counts & { location: string; sku: string })[];
  return levels
    .filter(({ available }) => available !== undefined)
    .map(({ location, sku, ...counts }) => ({ ...counts, ref: `${location}:${sku}` }));
}

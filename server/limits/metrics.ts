/** What is closed, why, and who was refused for it. */
import type { Admission } from '../http/admission.js';
import type { Metrics } from '../metrics.js';
import { type Gate, LIMITS } from './gate.js';
import { NO_HOLDS, NO_WRITES } from './marks.js';

export function exposeLimits(metrics: Metrics, gate: Gate, admission: Admission): void {
  metrics.gauge(
    'holdfast_http_shedding',
    '1 while requests are refused because they queue.',
    () => +admission.shedding,
  );
  metrics.counter('holdfast_http_turned_away_total', 'Requests refused before they began.', () => admission.refused);
  metrics.gauge(
    'holdfast_http_in_flight_limit',
    'Requests that may be under way at the moment.',
    () => admission.limit,
  );
  metrics.labelled(
    'holdfast_admission_closed_partitions',
    'Partitions closed by a limit, to new holds or to other writes as well.',
    'gauge',
    () =>
      LIMITS.flatMap((limit) => [
        { value: gate.closed(limit, NO_HOLDS), labels: { limit, to: 'holds' } },
        { value: gate.closed(limit, NO_WRITES), labels: { limit, to: 'writes' } },
      ]),
  );
  metrics.labelled(
    'holdfast_admission_fill_ratio',
    'How full a limit is where it is fullest; from 1 on new holds are refused.',
    'gauge',
    () => LIMITS.map((limit) => ({ value: gate.fill[limit], labels: { limit } })),
  );
  metrics.labelled('holdfast_admission_refused_total', 'Requests refused, by the limit that closed.', 'counter', () => [
    ...LIMITS.map((limit) => ({ value: gate.refused[limit], labels: { limit } })),
    { value: admission.refused, labels: { limit: 'in_flight' } },
  ]);
}

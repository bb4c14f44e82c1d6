/**
 * Prometheus metrics (G5). A request costs two additions into arrays that its route already holds: no label object, no
 * look-up. Labels are put together when somebody scrapes.
 */
import { collectDefaultMetrics, Gauge, Registry, type MetricObjectWithValues, type MetricValue } from 'prom-client';
import type { Route } from './http/route.js';

/** Upper bounds in ms; the promises of the documents are among them, so that they can be read off. */
const BOUNDS_MS = [0.25, 0.5, 1, 2.5, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_500, 5_000, 10_000];

export class RouteMetrics {
  readonly statuses: number[] = [];
  readonly buckets = new Float64Array(BOUNDS_MS.length + 1);
  sumMs = 0;
  count = 0;

  constructor(
    readonly name: string,
    readonly method: string,
  ) {}

  record(status: number, ms: number): void {
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && ms > (BOUNDS_MS[bucket] ?? 0)) bucket += 1;
    this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1;
    this.sumMs += ms;
    this.count += 1;
  }
}

type Values = MetricValue<string>[];

export class Metrics {
  readonly registry = new Registry();
  private readonly routes: RouteMetrics[] = [];
  private readonly problems = new Map<string, number>();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    this.expose(
      'holdfast_http_requests_total',
      'Requests by route and status; status 0: the client went away first.',
      'counter',
      () =>
        this.routes.flatMap(({ name, method, statuses }) =>
          Object.entries(statuses).map(([status, value]) => ({ value, labels: { route: name, method, status } })),
        ),
    );
    this.expose(
      'holdfast_http_request_duration_seconds',
      'From the first byte of the request to its answer, by route.',
      'histogram',
      () => this.routes.filter(({ count }) => count > 0).flatMap(histogram),
    );
    this.expose('holdfast_http_problems_total', 'Error answers by code.', 'counter', () =>
      [...this.problems].map(([code, value]) => ({ value, labels: { code } })),
    );
  }

  route(route: Route, method: string = route.method.toUpperCase()): RouteMetrics {
    const known = this.routes.find((metrics) => metrics.name === route.path && metrics.method === method);
    if (known !== undefined) return known;
    const metrics = new RouteMetrics(route.path, method);
    this.routes.push(metrics);
    return metrics;
  }

  problem(code: string): void {
    this.problems.set(code, (this.problems.get(code) ?? 0) + 1);
  }

  /** A number that is somewhere already and only read when somebody scrapes. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** Numbers with labels that are somewhere already. */
  labelled(
    name: string,
    help: string,
    type: 'counter' | 'gauge',
    read: () => { value: number; labels: Record<string, string> }[],
  ): void {
    this.expose(name, help, type, read);
  }

  counter(name: string, help: string, read: () => number): void {
    this.expose(name, help, 'counter', () => [{ value: read(), labels: {} }]);
  }

  /** A histogram that is kept elsewhere: how many were at most each bound, how many there were, and their sum. */
  buckets(
    name: string,
    help: string,
    read: () => { bounds: readonly { le: number; count: number }[]; count: number; sum: number },
  ): void {
    this.expose(name, help, 'histogram', () => {
      const { bounds, count, sum } = read();
      const values: (MetricValue<string> & { metricName: string })[] = [
        ...bounds.map((bound) => ({ metricName: `${name}_bucket`, value: bound.count, labels: { le: bound.le } })),
        { metricName: `${name}_bucket`, value: count, labels: { le: '+Inf' } },
        { metricName: `${name}_sum`, value: sum, labels: {} },
        { metricName: `${name}_count`, value: count, labels: {} },
      ];
      return values;
    });
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  private expose(name: string, help: string, type: 'counter' | 'gauge' | 'histogram', read: () => Values): void {
    // The registry asks its metrics for their values; that is all it needs to know of one.
    const metric = {
      name,
      help,
      get: () =>
        Promise.resolve({ name, help, type, values: read(), aggregator: 'sum' } as unknown as MetricObjectWithValues<
          MetricValue<string>
        >),
      reset: () => undefined,
    };
    this.registry.registerMetric(metric as unknown as Gauge);
  }
}

function histogram({ name, method, buckets, sumMs, count }: RouteMetrics): Values {
  const labels = { route: name, method };
  const base = 'holdfast_http_request_duration_seconds';
  let below = 0;
  const values: (MetricValue<string> & { metricName: string })[] = BOUNDS_MS.map((bound, index) => {
    below += buckets[index] ?? 0;
    return { metricName: `${base}_bucket`, value: below, labels: { ...labels, le: bound / 1000 } };
  });
  values.push({ metricName: `${base}_bucket`, value: count, labels: { ...labels, le: '+Inf' } });
  values.push({ metricName: `${base}_sum`, value: sumMs / 1000, labels });
  values.push({ metricName: `${base}_count`, value: count, labels });
  return values;
}

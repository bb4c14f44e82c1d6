/**
 * The demo sale: thousands of simulated buyers want the same item at the same moment, over HTTP, while ordinary orders go on;
 * at the end every sum has to come out. What is simulated are the people: everything they talk to is the running stack.
 */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import pc from 'picocolors';
import type { VerifyReport } from '../../workers/verify/problems.js';
import { coloursFor, summaryLines as importLines } from '../catalogue/report.js';
import { Shop } from './client.js';
import { Desk } from './desk.js';
import { Figures } from './figures.js';
import { HotSale } from './hot.js';
import { Live } from './live.js';
import {
  BUYERS,
  checkedOptions,
  type DemoOptions,
  HOT_SKU,
  ORDERS,
  SEED,
  SHORT_HOLD_SECONDS,
  SOCKETS,
} from './options.js';
import { importExample, nothingReserved, putOnSale, readItems } from './prepare.js';
import { type Check, type Sale, settle, verified } from './settle.js';
import { nameOf } from './shapes.js';
import { checkLines, summaryLines } from './summary.js';
import { LongTail } from './tail.js';
import { int } from './text.js';
import { TokenMaker } from './tokens.js';
import { Watch } from './watch.js';

export { checkedOptions };

export interface DemoContext {
  /** Base address of the HTTP server. */
  url: string;
  /** HOLDFAST_* of the running stack: the secret of its tokens, its Redis and its Postgres. */
  env: Readonly<Record<string, string>>;
  options?: Partial<DemoOptions>;
  /** Ends the demo before its end; then it throws. */
  signal?: AbortSignal;
}

export interface DemoResult {
  /** Everything holds. */
  ok: boolean;
  checks: Check[];
  sale: Sale;
  verify: VerifyReport;
}

const say = (line = ''): void => void process.stdout.write(`${line}\n`);

/**
 * Runs the whole demo against a running stack and prints it. Others who use the same items meanwhile spoil its sums.
 * @throws RangeError for sizes it does not do, Error when it could not be carried out to its end
 */
export async function runDemo({ url, env, options: given = {}, signal }: DemoContext): Promise<DemoResult> {
  const options = checkedOptions(given);
  // Every buyer who waits listens for the end.
  if (signal) setMaxListeners(0, signal);
  const tokens = new TokenMaker(env);
  const admin = await tokens.sign('admin', 'demo');
  const run = `demo-${Date.now().toString(36)}${randomBytes(2).toString('hex')}`;
  const desk = new Desk(url, admin, signal);
  const figures = new Figures();
  const shops = {
    crowd: new Shop(url, SOCKETS.crowd, figures, signal),
    till: new Shop(url, SOCKETS.till, figures, signal),
    orders: new Shop(url, SOCKETS.orders, figures, signal),
  };
  try {
    say(pc.bold('Importing examples/catalogue.csv'));
    const { counts } = await importExample(url, admin, signal);
    for (const line of importLines(counts, 'import', coloursFor(process.stdout)).slice(1)) say(line);
    const { hot: hotItem, others, locations } = await readItems();
    const hotBefore = await putOnSale(desk, hotItem, options.units, run, say);
    const levels = await nothingReserved(desk, others, () => say('waiting for holds of an earlier run to lapse'));
    announce(options, locations);

    const common = { figures, run, ...(signal ? { signal } : {}) };
    const hot = new HotSale({ ...common, crowd: shops.crowd, till: shops.till, item: hotItem, seed: SEED });
    const tail = new LongTail({ ...common, shop: shops.orders, items: others, seed: SEED + 1 });
    const watch = new Watch(desk, hotBefore);
    const before = new Map(levels.map((level) => [nameOf(level), level]));
    const sale: Sale = { options, desk, figures, hot, tail, watch, hotItem, hotBefore, before };
    await doorsOpen(sale, run, tokens, signal);
    signal?.throwIfAborted();

    const rest = await settle(sale);
    for (const line of summaryLines(sale, rest)) say(line);
    const verify = await runVerify(env);
    const checks = [...rest.checks, verified(verify)];
    for (const line of checkLines(checks)) say(line);
    const ok = checks.every((check) => check.ok);
    say(ok ? pc.green('\nEverything holds.\n') : pc.red('\nThe demo FAILED: see the lines marked ✖.\n'));
    return { ok, checks, sale, verify };
  } finally {
    await Promise.all([desk, ...Object.values(shops)].map((shop) => shop.close()));
  }
}

function announce({ buyers, units, orders }: DemoOptions, locations: number): void {
  const percent = (share: number): string => `${Math.round(100 * share)} %`;
  const { crowd, till } = SOCKETS;
  const returned = percent(ORDERS.returns + ORDERS.returnsOne);
  const lines = [
    '',
    pc.bold('What is simulated'),
    `  ${int(buyers)} buyers want one of ${int(units)} ${HOT_SKU}, all at the same moment, each with a token of their own. They wait`,
    `  in line for ${crowd} keep-alive connections; who has a unit pays over ${till} others. ${percent(BUYERS.looks)} look at the stock first. Who gets a unit`,
    `  thinks for 50 to 400 ms and pays; ${percent(BUYERS.releases)} of all would give it back instead, ${percent(BUYERS.abandons)} walk away and let a hold of`,
    `  ${SHORT_HOLD_SECONDS} s lapse. ${percent(BUYERS.persists)}, when refused, watch the stock and try again. After a 503 or a lost connection everybody`,
    '  tries again by the same key until the answer is definite.',
  ];
  if (orders > 0)
    lines.push(
      `  Meanwhile ${int(orders)} ordinary orders of 1 to 8 lines over ${locations} locations come in on ${SOCKETS.orders} more connections. Of those held,`,
      `  ${percent(ORDERS.releases)} are released, ${percent(ORDERS.abandons)} abandoned, ${returned} paid and brought back in whole or in part.`,
    );
  lines.push('  The buyers run in this process, on the machine that also runs everything they talk to.', '');
  for (const line of lines) say(line);
}

async function doorsOpen(sale: Sale, run: string, tokens: TokenMaker, signal?: AbortSignal): Promise<void> {
  const { options, figures, hot, tail, watch } = sale;
  const ids = (kind: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${run}-${kind}${i}`);
  const [buyers, shoppers] = [ids('b', options.buyers), ids('t', options.orders)];
  const [buyerTokens, shopperTokens] = [await tokens.signAll('buyer', buyers), await tokens.signAll('buyer', shoppers)];
  const live = new Live({ options, figures, hot, tail, watch, ...(signal ? { signal } : {}) });
  figures.start();
  watch.start();
  live.start();
  try {
    await Promise.all([hot.run(buyers, buyerTokens), tail.run(shoppers, shopperTokens)]);
  } finally {
    figures.end();
    await watch.stop();
    live.stop();
  }
}

/** What `./holdfast verify` runs. */
async function runVerify(env: Readonly<Record<string, string>>): Promise<VerifyReport> {
  const { findInstallation } = await import('../installation.js');
  const { connect } = await import('../../workers/verify/connect.js');
  const { printReport } = await import('../../workers/verify/print.js');
  const { verify } = await import('../../workers/verify/verify.js');
  const connection = await connect(findInstallation('', { ...env }));
  try {
    say();
    say(pc.bold('./holdfast verify'));
    const report = await verify({ partitions: connection.engine.partitions, pool: connection.pools.general });
    printReport(report, process.stdout);
    return report;
  } finally {
    await connection.close();
  }
}

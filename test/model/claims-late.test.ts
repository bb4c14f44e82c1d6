/** Reservations over several partitions long after they were decided: what is forgotten when, and what is still followed up. */
import t from 'tap';
import { limits } from '../../engine/scripts/generated/limits.js';
import { A_WHILE_MS, ID, LINES, play, QUANTITY, REQUEST } from './claims-play.js';
import { UNITS } from './claims-world.js';

const SOLD = UNITS - QUANTITY;
const REMEMBERED_MS = limits.return_window_seconds * 1_000;
const HALF_A_DAY_MS = 43_200_000;
const one = [{ ...LINES[0]!, quantity: 1 }];

void t.test(
  'a part of which some units come back shortly before its claim is forgotten keeps the others',
  async (t) => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
    ])
      await play(async (stage) => {
        const { world } = stage;
        const buyer = world.actor('buyer');
        await stage.done(buyer.reserve(REQUEST));
        await stage.done(buyer.confirm(ID));
        await stage.sweepAll(3);
        world.now += REMEMBERED_MS - HALF_A_DAY_MS;
        t.match(await stage.done(buyer.return(ID, one)), { status: 'ok' });
        t.strictSame(stage.available, [SOLD + 1, SOLD]);
        world.now += HALF_A_DAY_MS;
        await stage.sweepAll(3, order);
        t.strictSame([stage.claim, ...stage.parts], ['gone', 'confirmed', 'gone'], order.join(' '));
        t.strictSame(stage.available, [SOLD + 1, SOLD], 'what was not given back stays sold');
        world.now += REMEMBERED_MS;
        await stage.sweepAll(1, order);
        t.strictSame(stage.parts, ['gone', 'gone']);
        t.strictSame(stage.available, [SOLD + 1, SOLD]);
        t.strictSame(world.notices, []);
      });
  },
);

void t.test(
  'what a claim has taken back comes back from a part that hears of it as it is about to be forgotten',
  async (t) => {
    await play(async (stage) => {
      const { world } = stage;
      const buyer = world.actor('buyer');
      await stage.done(buyer.reserve(REQUEST));
      await stage.done(buyer.confirm(ID));
      await stage.sweepAll(3);
      world.now += REMEMBERED_MS - 3 * A_WHILE_MS;
      void buyer.return(ID);
      await stage.until(() => stage.claim === 'returned');
      world.kill(buyer.actor);
      t.strictSame(stage.parts, ['confirmed', 'confirmed']);
      world.now += 3 * A_WHILE_MS;
      await stage.sweepAll(1, [1, 2, 0]);
      t.strictSame([stage.claim, ...stage.parts], ['returned', 'returned', 'returned']);
      t.strictSame(stage.available, [UNITS, UNITS]);
    });
  },
);

void t.test('people are told when nothing can make an end of reservations safe, and what to do', async (t) => {
  await play(async (stage) => {
    const { world } = stage;
    const buyer = world.actor('buyer');
    const sweeper = world.actor('sweeper');
    const home = world.shards[0]!;
    const sweepFor = (seconds: number) => stage.sweepFor(seconds, sweeper);
    home.lagging = true;
    await stage.done(buyer.reserve(REQUEST));
    await sweepFor(90);
    t.strictSame([stage.claim, ...stage.parts], ['expired', 'held', 'held']);
    t.strictSame(world.notices, [], 'a failover may take that long');
    await sweepFor(1_800);
    t.strictSame(stage.parts, ['held', 'held']);
    t.match(world.notices[0], /have been decided.*CLUSTER FORGET/);
    t.ok(world.notices.length <= 30, `${world.notices.length} notices in half an hour`);
    home.lagging = false;
    await sweepFor(600);
    t.strictSame([stage.claim, ...stage.parts], ['expired', 'expired', 'expired']);
    t.strictSame(stage.available, [UNITS, UNITS]);
  });
});

void t.test('a sold part whose shard has no replica any more is not told every second until it has one', async (t) => {
  await play(async (stage) => {
    const { world } = stage;
    const buyer = world.actor('buyer');
    const sweeper = world.actor('sweeper');
    const told = stage.count('stock/confirm');
    const sweepFor = async (seconds: number): Promise<number> => {
      const before = told();
      await stage.sweepFor(seconds, sweeper);
      return told() - before;
    };
    await stage.done(buyer.reserve(REQUEST));
    world.shards[1]!.lagging = true;
    await stage.done(buyer.confirm(ID));
    t.strictSame([stage.claim, ...stage.parts], ['confirmed', 'confirmed', 'confirmed']);
    await sweepFor(60);
    const often = await sweepFor(3_600);
    t.ok(often > 2, 'it is tried again');
    t.ok(often < 60, `${often} times in an hour`);
    world.shards[1]!.lagging = false;
    t.ok((await sweepFor(1_000)) > 0, 'and once more when it has one');
    t.equal(await sweepFor(3_600), 0, 'then it is told for good');
  });
});

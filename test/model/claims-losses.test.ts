/**
 * What becomes of a reservation over several partitions when a whole shard is lost, at moments that every fault at every step does not
 * meet: in which order partitions are swept, what is asked again later, and what else is due beside it.
 */
import t from 'tap';
import type { Context } from '../../engine/context.js';
import { ShardUnavailable } from '../../engine/errors.js';
import { idAtHome } from '../../engine/ids.js';
import { sweep } from '../../engine/reservations/index.js';
import type { Outcome, Reservation } from '../../engine/types.js';
import { ID, LINES, partitions, play, QUANTITY, REQUEST, statusOf } from './claims-play.js';
import { PARTITIONS, turn, UNITS } from './claims-world.js';

void t.test(
  'a sold part whose claim is pending again comes back with the others, whoever is swept first',
  async (t) => {
    for (const order of [
      [0, 1, 2],
      [1, 2, 0],
      [1, 0, 2],
    ])
      await play(async (stage) => {
        const buyer = stage.world.actor('buyer');
        await stage.done(buyer.reserve(REQUEST));
        await stage.done(buyer.confirm(ID));
        t.strictSame([stage.claim, ...stage.parts], ['confirmed', 'confirmed', 'confirmed']);
        stage.restore(0, (phase) => phase === 'pending');
        t.equal(stage.claim, 'pending');
        await stage.sweepAll(3, order);
        t.strictSame([stage.claim, ...stage.parts], ['gone', 'returned', 'returned'], order.join(' '));
        t.strictSame(stage.available, [UNITS, UNITS]);
      });
  },
);

void t.test('asked again after all of it came back, a reservation is not said to be sold', async (t) => {
  await play(async (stage) => {
    const buyer = stage.world.actor('buyer');
    await stage.done(buyer.reserve(REQUEST));
    await stage.done(buyer.confirm(ID));
    stage.restore(0, (phase) => phase === 'gone');
    await stage.sweepAll(2);
    t.strictSame([stage.claim, ...stage.parts], ['gone', 'returned', 'returned']);
    for (const cast of [buyer, stage.world.actor('other')]) {
      const again = await stage.done(cast.reserve(REQUEST));
      t.match(again, { status: 'exists', value: { status: 'returned', lines: [{ returned: QUANTITY }] } });
    }
    t.strictSame([stage.claim, ...stage.parts], ['returned', 'returned', 'returned']);
    t.strictSame(stage.available, [UNITS, UNITS]);
  });
});

void t.test('a process that knows of a loss looks before it sells what it had held safely', async (t) => {
  await play(async (stage) => {
    const buyer = stage.world.actor('buyer');
    t.match(await stage.done(buyer.reserve(REQUEST)), { status: 'ok', ack: 'replicated' });
    stage.restore(2, (phase) => phase === 'gone');
    const rival = stage.world.actor('rival');
    const lines = [{ ...LINES[1]!, quantity: UNITS }];
    await stage.done(rival.reserve({ reservationId: idAtHome(2, partitions), lines }));
    buyer.lost([ID]);
    const outcome = await stage.done(buyer.confirm(ID));
    t.equal(statusOf(outcome), 'insufficient_stock');
    await stage.sweepAll(2);
    t.equal(stage.claim, 'released');
    t.strictSame(stage.available, [UNITS, 0]);
  });
});

void t.test('what is lost while a process reserves or extends is looked at before it is sold', async (t) => {
  for (const under of ['reserving', 'extending'])
    await play(async (stage) => {
      const { world } = stage;
      const buyer = world.actor('buyer');
      const reserving = buyer.reserve(REQUEST);
      if (under === 'reserving') await stage.until(() => world.waiting.some(({ name }) => name === 'claims/seal'));
      else await stage.done(reserving);
      const working = under === 'reserving' ? reserving : buyer.extend(ID, 120);
      await turn();
      const onItsWay = world.waiting.splice(0);
      stage.restore(2, (phase) => phase === 'gone');
      const lines = [{ ...LINES[1]!, quantity: UNITS }];
      await stage.done(world.actor('rival').reserve({ reservationId: idAtHome(2, partitions), lines }));
      buyer.lost([ID]);
      await stage.until(() => world.waiting.length === 0);
      world.waiting.push(...onItsWay);
      t.match(await stage.done<Outcome<Reservation>>(working), { status: 'ok' });
      const outcome = await stage.done(buyer.confirm(ID));
      t.equal(statusOf(outcome), 'insufficient_stock', under);
      await stage.sweepAll(2);
      t.strictSame([stage.claim, ...stage.parts], ['released', 'released', 'gone']);
      t.strictSame(stage.available, [UNITS, 0]);
    });
});

void t.test('a part that was lost is held again while there are units, also when the sale is over', async (t) => {
  for (const sold of [false, true])
    await play(async (stage) => {
      const { world } = stage;
      const buyer = world.actor('buyer');
      await stage.done(buyer.reserve(REQUEST));
      if (sold) await stage.done(buyer.confirm(ID));
      stage.restore(2, (phase) => phase === 'gone');
      const { items } = world.shards[2]!.main.state;
      for (const [ref, item] of items)
        items.set(ref, { ...item, settings: { ...item.settings, limit: 1, opens: 1, closes: 2, room: 'gate' } });
      if (sold) await stage.sweepAll(3);
      else t.match(await stage.done(world.actor('other').confirm(ID)), { status: 'ok' });
      t.strictSame([stage.claim, ...stage.parts], ['confirmed', 'confirmed', 'confirmed'], `sold before: ${sold}`);
      t.strictSame(stage.available, [UNITS - QUANTITY, UNITS - QUANTITY]);
      t.strictSame(world.notices, []);
    });
});

void t.test('nothing is given back because a master that was cut off does not know of it', async (t) => {
  await play(async (stage) => {
    const { world } = stage;
    const buyer = world.actor('buyer');
    const rival = idAtHome(1, partitions);
    const lines = [{ ...LINES[0]!, quantity: UNITS }];
    await stage.done(buyer.reserve({ reservationId: rival, lines }));
    world.shards[1]!.cut();
    await stage.done(buyer.release(rival));
    t.match(await stage.done(buyer.reserve(REQUEST)), { status: 'ok', ack: 'replicated' });
    const other = world.actor('other');
    other.actor.behind = true;
    t.match(await stage.done(other.reserve(REQUEST)), { status: 'exists', ack: 'executed', value: { status: 'held' } });
    await t.rejects(stage.done(other.extend(ID, 120)), ShardUnavailable);
    await t.rejects(stage.done(other.confirm(ID)), ShardUnavailable);
    t.strictSame([stage.claim, ...stage.parts], ['held', 'held', 'held']);
    other.actor.behind = false;
    t.match(await stage.done(other.confirm(ID)), { status: 'ok', value: { status: 'confirmed' } });
    t.strictSame(stage.parts, ['confirmed', 'confirmed']);
  });
});

void t.test('a home that answers reads only keeps nothing else from being swept', async (t) => {
  await play(async (stage) => {
    const { world } = stage;
    const buyer = world.actor('buyer');
    await stage.done(buyer.reserve(REQUEST));
    const own = idAtHome(1, partitions);
    await stage.done(buyer.reserve({ reservationId: own, lines: [LINES[0]!], holdSeconds: 60 }));
    world.now += 61_000;
    const { context } = world.actor('sweeper');
    let refused = 0;
    const caller: Context['caller'] = {
      ...context.caller,
      call: (script, partition, ...more) => {
        if (partition !== 0 || script.readonly) return context.caller.call(script, partition, ...more);
        refused++;
        return Promise.reject(new ShardUnavailable('The shard refused: its disk is full.'));
      },
    };
    for (let round = 0; round < PARTITIONS; round++) await stage.done(sweep({ ...context, caller }, 1));
    t.ok(refused > 0, 'the claim could not be ended');
    t.equal(world.shards[1]!.main.state.holds.get(own)?.phase, 'expired');
    t.equal(stage.parts[0], 'held', 'what has to ask its claim waits for it');
    await stage.sweepAll(1);
    t.strictSame([stage.claim, ...stage.parts], ['expired', 'expired', 'expired']);
  });
});

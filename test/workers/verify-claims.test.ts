/** Reservations over several partitions are sold as a whole: verify compares claims with their parts, wherever they lie. (S5) */
import t from 'tap';
import type { Reservation } from '../../engine/types.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { checkParts } from '../../workers/verify/parts.js';
import { Problems } from '../../workers/verify/problems.js';
import { openBench, PARTITIONS, stockEachPartition } from './support.js';

t.test('a claim without its part, and a part without its claim, are told', async (t) => {
  const bench = await openBench();
  const worker = await bench.worker();
  const engine = await bench.engine();
  await engine.ready(20_000);
  const items = await stockEachPartition(engine, 100);
  const lines = [items[2]!, items[5]!].map((item) => ({ ...item, quantity: 1 }));
  const ids: string[] = [];
  for (let n = 0; n < 2; n++) {
    const held = await engine.reservations.reserve({ buyerId: 'ann', lines });
    const { reservationId } = (held as { value: Reservation }).value;
    t.equal((await engine.reservations.confirm(reservationId)).status, 'ok');
    ids.push(reservationId);
  }
  t.same((await bench.verify(engine)).problems, []);
  await worker.stop();

  // As a failover would leave it that no replica and no worker was there to see, in Redis and in Postgres alike.
  const [halved, forgotten] = ids as [string, string];
  const home = (id: string) => bench.keys.partitions.home(id);
  const lost = [2, 5].find((partition) => partition !== home(halved))!;
  await bench.redis.hdel(bench.keys.fixed('holds', lost), halved);
  await bench.pools.general.query('DELETE FROM holds WHERE id = $1 AND partition = $2', [halved, lost]);
  await bench.redis.hdel(bench.keys.fixed('claims', home(forgotten)), forgotten);
  await bench.pools.general.query('DELETE FROM claims WHERE id = $1', [forgotten]);

  const { problems } = await bench.verify(engine, 300);
  const told = problems.map(({ subject, detail }) => `${subject} ${detail}`).sort();
  const ref = lost === 2 ? lines[0]! : lines[1]!;
  t.strictSame(told, [
    `claim ${halved} is sold, and its line of ${ref.location}:${ref.sku} is not`,
    ...[0, 1].map(() => `reservation ${forgotten} is a part that is sold, and its claim is not`),
  ]);

  // Units of one part came back when the claim was about to be forgotten: the part is young again, and the claim is gone rightly.
  const long = Date.now() - limits.return_window_seconds * 1_000;
  await bench.pools.general.query('UPDATE holds SET deadline = $2 WHERE id = $1', [forgotten, long]);
  const late = new Problems();
  await checkParts(bench.pools.general, PARTITIONS, 0, late);
  t.strictSame(
    late.list.map(({ subject }) => subject),
    [`claim ${halved}`],
  );
});

import t from 'tap';
import { openBench, stockEachPartition, trade } from './support.js';

t.test('a worker opens the partitions, drains what is sold and puts expired holds back', async (t) => {
  const bench = await openBench();
  await bench.worker();
  const engine = await bench.engine();
  await engine.ready(20_000);
  const items = await stockEachPartition(engine);
  t.equal(await trade(engine, items, 1_800, 'a'), 1_800);
  const report = await bench.verify(engine);
  t.same(report.problems, []);
  t.ok(report.ok);
  t.ok(report.counted.movements > 3_000);
});

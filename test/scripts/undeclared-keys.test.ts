import { createHash } from 'node:crypto';
import t from 'tap';
import { stockTouch } from '../../engine/scripts/generated/stock-touch.js';
import { KeyMonitor } from '../support/monitor.js';
import { ScriptCluster } from '../support/scripts.js';

/** The check that every table makes can fail: Redis itself lets a script touch any key of its slot. */
void t.test('a key that was not declared is noticed', async (t) => {
  const cluster = await ScriptCluster.open();
  const partition = cluster.partition(5);
  const write = "redis.call('HSET', meta_key, 'seq', seq)";
  const source = stockTouch.source.replace(write, "redis.call('HSET', meta_key .. '2', 'seq', seq)");
  t.not(source, stockTouch.source, 'the script is broken');
  const script = { ...stockTouch, source, sha1: createHash('sha1').update(source).digest('hex') };
  await cluster.load([script]);
  const monitor = await KeyMonitor.start(cluster, partition.node);
  await partition.fill({});
  await partition.call(stockTouch, undefined, [{ id: 'x' }]);
  await partition.call(script, undefined, [{ id: 'x' }]);
  const { commands, problems } = await monitor.finish();
  t.ok((commands.get('stock/touch') ?? 0) > 0, 'the sound script was watched');
  t.strictSame(problems, [`${script.sha1} touches ${partition.key('meta')}2 by hset, which is not in its KEYS`]);
});

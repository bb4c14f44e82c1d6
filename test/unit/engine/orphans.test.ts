import t from 'tap';
import { Partitions } from '../../../engine/partitions.js';
import { type NodeView, parseNodes } from '../../../engine/redis/nodes.js';
import { Orphans } from '../../../engine/redis/orphans.js';
import { makeView, ownersIn } from '../../../engine/redis/topology.js';

const ENDPOINT = { host: '127.0.0.1', port: 7000 };
const PARTITIONS = new Partitions(4);

/** One look after the other: lines of CLUSTER NODES without the columns that do not matter. */
class Looks {
  private readonly orphans = new Orphans();
  private before: (string | undefined)[] = [];

  /** @param lines `id flags master epoch link slots…` */
  view(now: number, ...lines: string[]) {
    const text = lines.map((line, n) => {
      const [id, flags, master, epoch, link, ...slots] = line.split(' ');
      return `${id} 127.0.0.1:${7000 + n}@17000 ${flags} ${master} 0 0 ${epoch} ${link} ${slots.join(' ')}`;
    });
    const nodes = new Map<string, NodeView>(parseNodes(text.join('\n'), ENDPOINT).map((node) => [node.id, node]));
    const owners = ownersIn(nodes, PARTITIONS);
    const ids = owners.map((one) => one?.id);
    this.orphans.follow(this.before, ids, now);
    this.before = ids;
    return makeView(nodes, owners, this.orphans).masters;
  }
}

const SHARD = [
  'x master - 1 connected 0-16383',
  'n slave x 1 connected',
  'r slave x 1 connected',
  'other myself,master - 2 connected',
];
const other = SHARD[3]!;
const PROMOTED = ['x master,fail - 1 disconnected', 'n master - 3 connected 0-16383', 'r slave x 1 connected', other];

t.test('the other replica counts for the new master before it is seen to follow it', async (t) => {
  const looks = new Looks();
  t.match(looks.view(0, ...SHARD).get('x'), { replicas: 2, onlineReplicas: 2 });
  const found = looks.view(10, ...PROMOTED).get('n');
  t.match(found, { replicas: 1, onlineReplicas: 1 }, 'it is not alone: what it is told is waited for');
  t.same(found!.standbys, [], 'but cannot take over from it yet');
  t.match(looks.view(20, ...PROMOTED).get('n'), { replicas: 1 }, 'in a later look as well');
  const followed = PROMOTED.map((line) => line.replace('r slave x 1', 'r slave n 3'));
  t.match(looks.view(30, ...followed).get('n'), { replicas: 1, onlineReplicas: 1 }, 'once, not twice');
});

t.test('asked to take over while the old one is only unreachable; and twice in a row', async (t) => {
  const looks = new Looks();
  looks.view(0, ...SHARD);
  const asked = PROMOTED.map((line) => line.replace('master,fail', 'master'));
  t.match(looks.view(10, ...asked).get('n'), { replicas: 1 });
  const again = ['x master,fail - 1 disconnected', 'n master,fail - 3 disconnected', 'm master - 4 connected 0-16383'];
  t.match(looks.view(20, ...again, 'r slave x 1 connected').get('m'), { replicas: 1 });
});

t.test('what is no replica of it does not count', async (t) => {
  const failed = new Looks();
  failed.view(0, ...SHARD);
  const dead = PROMOTED.map((line) => line.replace('r slave x 1 connected', 'r slave,fail x 1 disconnected'));
  t.match(failed.view(10, ...dead).get('n'), { replicas: 0 }, 'one that has failed too');

  const emptied = new Looks();
  emptied.view(0, ...SHARD);
  const moved = ['x master - 1 connected', 'n slave x 1 connected', 'r slave x 1 connected'];
  t.match(
    emptied.view(10, ...moved, 'other myself,master - 5 connected 0-16383').get('other'),
    { replicas: 0 },
    'those of a master whose slots were moved away',
  );

  const late = new Looks();
  late.view(0, ...SHARD);
  late.view(10, ...PROMOTED);
  t.match(late.view(60_000, ...PROMOTED).get('n'), { replicas: 0 }, 'one that never followed');

  const back = new Looks();
  back.view(0, ...SHARD);
  back.view(10, ...PROMOTED);
  const returned = ['x master - 5 connected 0-16383', 'n slave x 5 connected', 'r slave x 5 connected'];
  t.match(back.view(20, ...returned).get('x'), { replicas: 2 }, 'nothing is left of it when the old one is back');
});

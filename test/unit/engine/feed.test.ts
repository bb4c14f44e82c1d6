/** What a process may vouch for, from the order in which messages and positions come. */
import t from 'tap';
import { Feed, GRACE_MS } from '../../../engine/deltas/feed.js';

const known = (): Feed => {
  const feed = new Feed(3);
  feed.found(1, 10, 100, true);
  return feed;
};

t.test('the first position is where it begins; it vouches for the time it was asked', async (t) => {
  const feed = new Feed(3);
  t.equal(feed.vouchedAt, -Infinity);
  t.equal(feed.found(1, 10, 100, false), 'gap');
  t.match(feed, { epoch: 1, seq: 10, vouchedAt: 100, generation: 1 });
});

t.test('messages that follow each other; late ones change nothing', async (t) => {
  const feed = known();
  t.equal(feed.arrived(1, 10, 12), 'next');
  t.equal(feed.arrived(1, 12, 13), 'next');
  t.equal(feed.arrived(1, 10, 12), 'old');
  t.equal(feed.arrived(0, 20, 21), 'old', 'of an epoch that is over');
  t.match(feed, { seq: 13, generation: 1, vouchedAt: 100 }, 'a message alone vouches for nothing');
});

t.test('a message whose predecessor is unknown is a gap, and so is a new epoch', async (t) => {
  const feed = known();
  t.equal(feed.arrived(1, 11, 12), 'gap');
  t.match(feed, { seq: 12, generation: 2 });
  t.equal(feed.arrived(2, 12, 13), 'gap', 'although the numbers go on');
  t.match(feed, { epoch: 2, seq: 13, generation: 3 });
});

t.test('a position that is known vouches; one from before a gap is not to be kept', async (t) => {
  const feed = known();
  t.equal(feed.found(1, 10, 200, true), 'kept');
  t.equal(feed.vouchedAt, 200);
  feed.arrived(1, 14, 20);
  t.equal(feed.found(1, 15, 300, true), 'old', 'read before the messages that were missed');
  t.equal(feed.found(1, 20, 310, true), 'kept');
  t.equal(feed.found(0, 99, 400, true), 'old', 'an old master');
  t.equal(feed.vouchedAt, 310);
});

t.test('a position ahead waits for its messages, and then vouches for when it was asked', async (t) => {
  const feed = known();
  t.equal(feed.found(1, 12, 200, true), 'kept');
  t.equal(feed.vouchedAt, 100, 'not yet');
  t.equal(feed.arrived(1, 10, 11), 'next');
  t.equal(feed.vouchedAt, 100);
  t.equal(feed.arrived(1, 11, 13), 'next');
  t.match(feed, { vouchedAt: 200, generation: 1 });
});

t.test('messages that do not come are a gap: soon, or at once where none can come', async (t) => {
  const waiting = known();
  t.equal(waiting.found(1, 12, 200, true), 'kept');
  t.equal(waiting.found(1, 12, 210, false), 'gap');
  t.match(waiting, { seq: 12, generation: 2, vouchedAt: 210 });
  const hoping = known();
  hoping.found(1, 12, 200, true);
  await new Promise((resolve) => setTimeout(resolve, GRACE_MS + 20));
  t.equal(hoping.found(1, 15, 220, true), 'gap');
  t.match(hoping, { seq: 15, generation: 2, vouchedAt: 220 });
  t.equal(hoping.arrived(1, 10, 12), 'old');
});

t.test('a position of a new epoch is a gap', async (t) => {
  const feed = known();
  t.equal(feed.found(2, 11, 500, true), 'gap');
  t.match(feed, { epoch: 2, seq: 11, generation: 2, vouchedAt: 500 });
});

import t from 'tap';
import { Answered, readOpenings } from '../../../engine/recovery/answered.js';
import { stockConfirm, type StockConfirmOp } from '../../../engine/scripts/generated/stock-confirm.js';
import { stockReturn, type StockReturnOp } from '../../../engine/scripts/generated/stock-return.js';
import { stockReserve, type StockReserveOp } from '../../../engine/scripts/generated/stock-reserve.js';

const P = 3;

function reserveOp(id: string, lines = [{ item: 'main:a', quantity: 2 }]): StockReserveOp {
  return { id, fingerprint: 1, attempt: 0, buyer: 'ada', hold: 0, room: '', actor: 'ada', lines };
}

/** One reservation a call: call n ends at event n. */
function filled(epoch: number, count: number, most?: number): Answered {
  const answered = new Answered(most);
  answered.keep(P, true);
  for (let n = 1; n <= count; n++) answered.add(stockReserve, P, { epoch, seq: n }, [reserveOp(`r${n}`)]);
  return answered;
}

const idsOf = (answers: readonly { readonly id: string }[]) => answers.map(({ id }) => id);

t.test('what Postgres has is forgotten, what came after the later epoch began is gone, the rest stays', async (t) => {
  const answered = filled(4, 6);
  t.same(answered.judge(P, { epoch: 4, seq: 2 }, [{ epoch: 4, seq: 0 }]), []);
  t.equal(answered.size, 4);
  const lost = answered.judge(P, { epoch: 4, seq: 2 }, readOpenings('4:0 5:4'));
  t.same(lost, [
    { kind: 'held', id: 'r5', ref: 'main:a', quantity: 2, actor: 'ada', epoch: 4, seq: 5, look: false },
    { kind: 'held', id: 'r6', ref: 'main:a', quantity: 2, actor: 'ada', epoch: 4, seq: 6, look: false },
  ]);
  t.equal(answered.size, 2, 'events 3 and 4 are in Redis and may still be lost');
  t.same(answered.judge(P, { epoch: 4, seq: 2 }, readOpenings('4:0 5:4')), [], 'told once');
  t.same(idsOf(answered.judge(P, { epoch: 4, seq: 2 }, readOpenings('6:3'))), ['r4']);
  t.same(answered.judge(P, { epoch: 6, seq: 4 }, readOpenings('6:3')), []);
  t.equal(answered.size, 0, 'a position of a later epoch covers what was not cut off');
});

t.test('the lowest of several beginnings decides, also when an answer arrives after them', async (t) => {
  const answered = filled(4, 6);
  answered.add(stockReserve, P, { epoch: 5, seq: 7 }, [reserveOp('later')]);
  t.same(idsOf(answered.judge(P, undefined, readOpenings('5:5 6:9'))), ['r6']);
  answered.add(stockReserve, P, { epoch: 4, seq: 8 }, [reserveOp('late')]);
  t.same(idsOf(answered.judge(P, undefined, readOpenings('5:5 6:9'))), ['late']);
  t.equal(answered.size, 6);
});

t.test(
  'every line is told; answers that were given before are to be looked for; parts follow their claim, but not in returns',
  async (t) => {
    const answered = filled(1, 0);
    const lines = [
      { item: 'main:a', quantity: 1 },
      { item: 'main:b', quantity: 3 },
    ];
    answered.add(stockReserve, P, { epoch: 1, seq: 2 }, [reserveOp('two', lines)], [reserveOp('again')]);
    const confirm = (id: string, attempt: number): StockConfirmOp => ({ id, attempt, actor: 'till', lines });
    answered.add(stockConfirm, P, { epoch: 1, seq: 4 }, [confirm('own', 0), confirm('part', 99)]);
    const some: StockReturnOp = {
      ...{ id: 'part', attempt: 99, actor: 'desk' },
      lines: [
        { item: 'main:a', total: 0 },
        { item: 'main:b', total: 2 },
      ],
    };
    answered.add(stockReturn, P, { epoch: 1, seq: 5 }, [some]);
    const lost = answered.judge(P, undefined, [{ epoch: 2, seq: 0 }]);
    t.same(
      lost.map(({ kind, id, ref, quantity, look }) => [kind, id, ref, quantity, look]),
      [
        ['held', 'two', 'main:a', 1, false],
        ['held', 'two', 'main:b', 3, false],
        ['held', 'again', 'main:a', 2, true],
        ['confirmed', 'own', 'main:a', 0, false],
        ['confirmed', 'own', 'main:b', 0, false],
        ['returned', 'part', 'main:b', 2, false],
      ],
    );
  },
);

t.test('there is an end to it, and what is dropped is counted', async (t) => {
  const answered = filled(1, 1_000, 100);
  t.ok(answered.size <= 100);
  t.equal(answered.forgotten, 1_000 - answered.size);
  const lost = answered.judge(P, undefined, [{ epoch: 2, seq: 0 }]);
  t.equal(lost.at(-1)!.id, 'r1000', 'the newest are kept');
  t.equal(answered.size, 0);
});

t.test('a reversal that is lost itself is told again as it was', async (t) => {
  const answered = filled(1, 1);
  const lost = answered.judge(P, undefined, [{ epoch: 2, seq: 0 }]);
  answered.addReport(P, { epoch: 2, seq: 2 }, lost);
  t.same(answered.judge(P, undefined, [{ epoch: 3, seq: 1 }]), lost);
});

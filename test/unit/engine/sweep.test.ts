/** Sweeping while the home of many claims is away. On a real cluster this takes a dead shard and thousands of parts. */
import t from 'tap';
import type { Context } from '../../../engine/context.js';
import { Partitions } from '../../../engine/partitions.js';
import { sweep } from '../../../engine/reservations/sweep.js';
import { limits } from '../../../engine/scripts/generated/limits.js';

const HERE = 0;
const PAGES = 5;
const partitions = new Partitions(4);
const home = [1, 2, 3].find((partition) => partition !== HERE)!;

t.test('parts whose claims cannot be asked do not hold up what lies behind them', async (t) => {
  const due: string[] = [];
  for (let n = 0; due.length < PAGES * limits.due_page; n++)
    if (partitions.home(`part-${n}`) === home) due.push(`part-${n}`);
  const own = 'own';
  due.push(own);
  const later = new Map<string, number>();
  let asked = 0;
  const expired: string[] = [];
  const answer = (result: unknown) => ({ result, now: 1_000 });
  const caller = {
    callOnce: () => {
      const page = due.filter((member) => !later.has(member)).slice(0, limits.due_page);
      return Promise.resolve({ result: [{ status: 'ok', members: page.join('\n') }] });
    },
    call: (script: { name: string }, partition: number, op: { id: string; member: string; later: number }) => {
      if (partition === home) {
        asked++;
        return Promise.reject(new Error('the shard is away'));
      }
      if (script.name === 'stock/find')
        return Promise.resolve(
          answer({ status: 'ok', hold: `1|500|7|${op.id === own ? 0 : 9}||0|a:1|1|0|0`, claim: '' }),
        );
      if (script.name === 'stock/expire') {
        expired.push(op.id);
        return Promise.resolve(answer({ status: 'ok' }));
      }
      later.set(op.member, op.later);
      return Promise.resolve(answer({ status: 'ok', forgotten: 0 }));
    },
  };
  t.equal(await sweep({ caller, partitions } as unknown as Context, HERE), 1);
  t.same(expired, [own]);
  t.equal(later.size, due.length);
  t.ok(
    due.every((member) => later.get(member)! > 0 === (member !== own)),
    'they are looked at again',
  );
  t.ok(asked <= limits.due_page, `the home is not asked for every entry anew, but ${asked} times`);
});

import t from 'tap';
import { buildOf, errorsOf } from './fixture.js';

const STATUSES = 'lua/registry/statuses.json';
const list = (...entries: object[]): string => `[\n${entries.map((e) => `  ${JSON.stringify(e)}`).join(',\n')}\n]`;
const ok = { number: 0, name: 'ok', kind: 'ok', http: 200, title: 'Done', description: 'Done.' };
const more = { ...ok, number: 5, name: 'more', kind: 'final' };

t.test('statuses: numbers and names are unique, order is precedence, every field is there', async (t) => {
  const cases: [object[], string[]][] = [
    [[ok, more], []],
    [[ok, { ...more, number: 0 }], ["3:3: number 0 already belongs to 'ok'"]],
    [[ok, { ...more, name: 'ok' }], ["3:3: 'ok' is listed twice"]],
    [[more, ok], ["3:3: 'ok' (0) stands after 5: order is precedence"]],
    [[ok, { ...more, kind: 'fatal' }], ['3:3: kind must be ok, final or retryable']],
    [[ok, { ...more, http: 99 }], ['3:3: http must be a status code from 200 to 599']],
    [[ok, { ...more, title: '' }], ['3:3: title is missing']],
    [[ok, { ...more, description: undefined }], ["3:3: description of 'more' is missing"]],
    [[ok, { ...more, name: 'More' }], ['3:3: name must be lower case with underscores']],
    [[ok, { ...more, number: 1.5 }], ["3:3: number of 'more' must be an integer from 0"]],
    [[ok, { ...more, code: 'No Code' }], ['3:3: code must be lower case with underscores']],
  ];
  for (const [entries, errors] of cases)
    t.strictSame(
      errorsOf({ [STATUSES]: list(...entries) }),
      errors.map((e) => `${STATUSES}:${e}`),
      JSON.stringify(entries[1]),
    );
});

t.test('broken JSON is reported at its place, a missing file by its name', async (t) => {
  const [broken] = errorsOf({ [STATUSES]: '[\n  { "number": 0,, }\n]' });
  t.match(broken, /^lua\/registry\/statuses\.json:2:17: /);
  t.match(errorsOf({ 'lua/registry/limits.json': '[]' }), ['lua/registry/limits.json:1:1: must be an object']);
  t.match(errorsOf({ 'lua/registry/events.json': '{}' }), ['lua/registry/events.json:1:1: must be an array']);
});

t.test('limits', async (t) => {
  const file = 'lua/registry/limits.json';
  const good = { value: 1, unit: 'lines', description: 'd' };
  t.strictSame(errorsOf({ [file]: JSON.stringify({ a: good, b: { ...good, value: '1' } }, null, 1) }), [
    `${file}:7:2: value of 'b' must be an integer`,
  ]);
  t.strictSame(errorsOf({ [file]: JSON.stringify({ a: { ...good, unit: '' }, B: good }, null, 1) }), [
    `${file}:2:2: unit of 'a' is missing`,
    `${file}:7:2: name must be lower case with underscores`,
  ]);
});

t.test('a broken script does not hold up names and numbers; a broken registry does', async (t) => {
  const script = buildOf({ 'lua/box/op.lua': 'local x =' });
  t.strictSame(
    [...script.files.keys()],
    ['statuses', 'events', 'limits'].map((f) => `engine/scripts/generated/${f}.ts`),
  );
  t.equal(buildOf({ [STATUSES]: '[' }).files.size, 0);
});

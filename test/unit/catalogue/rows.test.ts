/** One awkward row after the other, and what becomes of it. */
import t from 'tap';
import { brief, readAll } from './helpers.js';

const OLDER = 'Handle,Title,SKU,Location,On hand';
const CURRENT = 'Handle,SKU,Location,On hand (current),On hand (new)';
const OLDEST = 'Handle,Title,SKU,Berlin Mitte,Łódź';

const cases: [name: string, header: string, rows: string, expected: string[]][] = [
  ['a plain row', OLDER, 'h,T,A-1,Main,7', ['2 A-1@Main =7']],
  ['zero is a count', OLDER, 'h,T,A-1,Main,0', ['2 A-1@Main =0']],
  ['leading zeros and spaces around a count', OLDER, 'h,T,A-1,Main, 007 ', ['2 A-1@Main =7']],
  ['a comma in quotes', OLDER, 'h,"T, the",A-1,"Main, 2",7', ['2 A-1@Main~2C_2 =7']],
  ['doubled quotes', OLDER, 'h,"12"" LP",A-1,Main,7', ['2 A-1@Main =7']],
  [
    'a line break in quotes: the next row keeps its line',
    OLDER,
    'h,"a\r\nb\nc",A-1,Main,7\nh,T,A-2,Main,8',
    ['2 A-1@Main =7', '5 A-2@Main =8'],
  ],
  ['every allowed character of a SKU', OLDER, 'h,T,aZ09._-~,Main,7', ['2 aZ09._-~@Main =7']],
  ['SKU of 128', OLDER, `h,T,${'x'.repeat(128)},Main,7`, [`2 ${'x'.repeat(128)}@Main =7`]],
  ['SKU of 129', OLDER, `h,T,${'x'.repeat(129)},Main,7`, ['2 sku_invalid']],
  ['no SKU', OLDER, 'h,T,,Main,7\nh,T,  ,Main,7', ['2 sku_missing', '3 sku_missing']],
  ['SKU with a slash', OLDER, 'h,T,A/1,Main,7', ['2 sku_invalid']],
  ['SKU with a space around it is not trimmed', OLDER, 'h,T,A-1 ,Main,7', ['2 sku_invalid']],
  ['SKU shortened by a spreadsheet', OLDER, 'h,T,8.71E+12,Main,7', ['2 sku_invalid']],
  ['SKU that would reach into a key name', OLDER, 'h,T,a:b{c},Main,7', ['2 sku_invalid']],
  ['no location', OLDER, 'h,T,A-1, ,7', ['2 location_missing']],
  ['a location too long for an id', OLDER, `h,T,A-1,${'é'.repeat(22)},7`, ['2 location_invalid']],
  ['a location of exactly 128', OLDER, `h,T,A-1,${'x'.repeat(128)},7`, [`2 A-1@${'x'.repeat(128)} =7`]],
  [
    'accents composed and decomposed are one place',
    OLDER,
    'h,T,A-1,Zürich,7\nh,T,A-1,Zu\u0308rich,8',
    ['2 A-1@Z~C3~BCrich =7', '3 duplicate'],
  ],
  ['no count', OLDER, 'h,T,A-1,Main,', ['2 count_missing']],
  ['negative', OLDER, 'h,T,A-1,Main,-1', ['2 count_negative']],
  ['negative decimal', OLDER, 'h,T,A-1,Main,-1.5', ['2 count_negative']],
  [
    'decimals and thousands',
    OLDER,
    'h,T,A,M,1.5\nh,T,B,M,"1,000"\nh,T,C,M,3.0',
    ['2 count_decimal', '3 count_decimal', '4 count_decimal'],
  ],
  [
    'not numbers',
    OLDER,
    ['n/a', '0x10', '1e3', 'NaN', '+5', '5 pcs', '٣', 'Infinity', '#REF!', '- 1'].map((c) => `h,T,A,M,${c}`).join('\n'),
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((line) => `${line} count_not_numeric`),
  ],
  [
    'the highest count, and one more',
    OLDER,
    'h,T,A,M,1000000000\nh,T,B,M,1000000001',
    ['2 A@M =1000000000', '3 count_too_large'],
  ],
  ['digits without end', OLDER, `h,T,A,M,${'9'.repeat(5000)}`, ['2 count_too_large']],
  ['not stocked, in any case', OLDER, 'h,T,A,M,not stocked\nh,T,B,M,Not Stocked', ['2 not_stocked', '3 not_stocked']],
  ['blank lines and rows of commas', OLDER, '\n  \n,,,,\nh,T,A,M,1', ['2 blank', '3 blank', '4 blank', '5 A@M =1']],
  ['too few and too many columns', OLDER, 'h,T,A,M\nh,T,A,M,1,2\nh,T,A,M,1', ['2 columns', '3 columns', '4 A@M =1']],
  ['the first of two counts', OLDER, 'h,T,A,M,1\nh,T,A,N,2\nh,T,A,M,3', ['2 A@M =1', '3 A@N =2', '4 duplicate']],
  ['a rejected row is no first', OLDER, 'h,T,A,M,-1\nh,T,A,M,3', ['2 count_negative', '3 A@M =3']],
  ['SKUs differ by case', OLDER, 'h,T,a,M,1\nh,T,A,M,3', ['2 a@M =1', '3 A@M =3']],
  ['descriptive columns of 4 kB and more', OLDER, `h,${'x'.repeat(4100)},A,M,1`, ['2 attributes_too_large']],
  [
    'a stray quote costs its line only',
    OLDER,
    'h,27" wide,A,M,1\nh,T,B,M,2\nh,13" wide,C,M,3\nh,T,D,M,4',
    ['2 quotes', '3 B@M =2', '4 quotes', '5 D@M =4'],
  ],
  [
    'an open quote costs its line only',
    OLDER,
    'h,"T,A,M,1\nh,T,B,M,2\nh,T,C,M,3',
    ['2 quotes', '3 B@M =2', '4 C@M =3'],
  ],
  [
    'an open quote before a quoted line break',
    OLDER,
    'h,"T,A,M,1\nh,"x\ny",B,M,2\nh,T,C,M,3',
    ['2 quotes', '3 B@M =2', '5 C@M =3'],
  ],
  ['text after a closing quote', OLDER, 'h,"T"x,A,M,1\nh,T,B,M,2', ['2 quotes', '3 B@M =2']],
  ['a row longer than the limit', OLDER, `h,${'x'.repeat(70_000)},A,M,1\nh,T,B,M,2`, ['2 too_long', '3 B@M =2']],
  ['NUL', OLDER, 'h,T\0,A,M,1\nh,T,B,M,2', ['2 encoding', '3 B@M =2']],
  ['the prefix for ids that no name gives', OLDER, 'h,T,A,id:a~b,1\nh,T,B,id:,2', ['2 A@a~b =1', '3 B@id~3A =2']],

  ['current: only reported', CURRENT, 'h,A,M,5,', ['2 A@M =5 reported']],
  ['current: a new count', CURRENT, 'h,A,M,5,9', ['2 A@M =9 was 5']],
  ['current: a new count, nothing before', CURRENT, 'h,A,M,,9', ['2 A@M =9']],
  ['current: neither', CURRENT, 'h,A,M,,', ['2 count_missing']],
  ['current: oversold where it comes from', CURRENT, 'h,A,M,-2,9\nh,B,M,-2,', ['2 A@M =9', '3 count_negative']],
  ['current: newly stocked', CURRENT, 'h,A,M,not stocked,9', ['2 A@M =9']],
  ['current: not stocked', CURRENT, 'h,A,M,not stocked,\nh,B,M,5,not stocked', ['2 not_stocked', '3 not_stocked']],
  ['current: damage in the reported count', CURRENT, 'h,A,M,five,9', ['2 count_not_numeric']],

  [
    'by location: one outcome a cell',
    OLDEST,
    'h,T,A,3,4',
    ['2 A@Berlin_Mitte =3 available', '2 A@~C5~81~C3~B3d~C5~BA =4 available'],
  ],
  [
    'by location: an empty cell asks for nothing',
    OLDEST,
    'h,T,A,,not stocked\nh,T,B,-1,4',
    ['2 not_stocked', '2 not_stocked', '3 count_negative', '3 B@~C5~81~C3~B3d~C5~BA =4 available'],
  ],
];

t.test('every awkward row has its outcome', async (t) => {
  for (const [name, header, rows, expected] of cases) {
    for (const [how, text] of [
      ['LF', `${header}\n${rows}\n`],
      ['CRLF, byte order mark', `\uFEFF${header}\r\n${rows.replace(/\r?\n/g, '\r\n')}\r\n`],
      ['no last line break', `${header}\n${rows}`],
    ] as const) {
      const { outcomes } = await readAll(text);
      t.same(outcomes.map(brief), expected, `${name} (${how})`);
    }
  }
});

t.test('where the stream is cut changes nothing', async (t) => {
  const rows = cases.filter(([, header]) => header === OLDER).map(([, , text]) => text);
  // Every row set apart, so that duplicates stay within their own case.
  for (const text of rows.filter((row) => row.length < 400)) {
    const bytes = Buffer.from(`\uFEFF${OLDER}\r\n${text}\r\n`);
    const whole = (await readAll(bytes)).outcomes;
    for (const chunk of [1, 2, 3, 7]) t.same((await readAll(bytes, { chunk })).outcomes, whole);
  }
});

t.test('invalid UTF-8 costs its record only, and says so', async (t) => {
  const bytes = Buffer.concat([
    Buffer.from(`${OLDER}\nh,caf`),
    Buffer.from([0xe9]),
    Buffer.from(',A,M,1\nh,T,B,M,2\nh,"x\n'),
    Buffer.from([0xff]),
    Buffer.from('",C,M,3\nh,T,D,M,4\n'),
  ]);
  const { outcomes } = await readAll(bytes);
  t.same(outcomes.map(brief), ['2 encoding', '3 B@M =2', '4 encoding', '6 D@M =4']);
  t.match(outcomes[2], { detail: /line 5/ });
});

t.test('reasons name what is wrong', async (t) => {
  const { outcomes } = await readAll(
    `${OLDER}\nh,T,A,M,1\nh,T,A,M,2\nh,T,A B,M,1\nh,T,8.71E+12,M,1\nh,T,A,M\nh,T,B,M,x`,
  );
  const details = outcomes.map((row) => (row.kind === 'rejected' ? row.detail : ''));
  t.match(details[1], /already on line 2/);
  t.match(details[2], /"A B" has " "/);
  t.match(details[3], /spreadsheet/);
  t.match(details[4], /4 columns where the header has 5/);
  t.match(details[5], /On hand: "x"/);
});

t.test('--encode-skus escapes, and never makes two SKUs one', async (t) => {
  const { outcomes } = await readAll(`${OLDER}\nh,T,A B,M,1\nh,T,A_B,M,2\nh,T,A/B,M,3\nh,T,AB,M,4`, {
    encodeSkus: true,
  });
  t.same(outcomes.map(brief), ['2 A_B@M =1', '3 A~5FB@M =2', '4 A~2FB@M =3', '5 AB@M =4']);
});

t.test('attributes keep the text as it is and leave out what is empty', async (t) => {
  const { outcomes } = await readAll(
    'Handle,Title,Option1 Name,Option1 Value,SKU,Location,Bin name,On hand\nh," T ""x""\r\n2",,,A,M,,1\n',
  );
  t.match(outcomes[0], { attributes: { Handle: 'h', Title: ' T "x"\r\n2' } });
  t.same(Object.keys((outcomes[0] as { attributes: object }).attributes), ['Handle', 'Title']);
});

/** docs/bench.svg: bars on a logarithmic axis, since what is compared lies orders of magnitude apart. */
import type { Metric } from '../lib/types.js';
import { number } from './format.js';
import type { Results } from './results.js';

const WIDTH = 860;
const LABELS = 330;
const RIGHT = 110;
const ROW = 30;
const TOP = 58;
const OURS = '#c2410c';
const THEIRS = '#94a3b8';

export function chartOf(results: Results): string {
  const report = results.reports.find(({ name }) => name === 'reserve-engine');
  const bars = (report?.metrics ?? []).filter(({ unit }) => unit === '/s').sort((a, b) => b.value - a.value);
  const height = TOP + bars.length * ROW + 34;
  const most = Math.max(10, ...bars.map(({ value }) => value));
  const decades = Math.ceil(Math.log10(most));
  const least = Math.min(decades - 1, Math.floor(Math.log10(Math.max(1, Math.min(...bars.map(({ value }) => value))))));
  const x = (value: number): number =>
    LABELS + ((Math.log10(Math.max(value, 1)) - least) / (decades - least)) * (WIDTH - LABELS - RIGHT);
  const { machine } = results;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="13">`,
    `<title>Reservations a second on one hot item</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="16" y="24" font-size="16" font-weight="600" fill="#0f172a">Reservations a second on one hot item</text>`,
    `<text x="16" y="43" fill="#475569">${machine.cores} cores for everything, ${escape(machine.redis)} with AOF, same run; logarithmic axis</text>`,
    ...gridLines(least, decades, x, height),
    ...bars.map((bar, row) => barOf(bar, row, x)),
    '</svg>',
    '',
  ].join('\n');
}

function gridLines(least: number, decades: number, x: (value: number) => number, height: number): string[] {
  return Array.from({ length: decades - least + 1 }, (_, index) => {
    const value = 10 ** (least + index);
    const at = x(value).toFixed(1);
    return (
      `<line x1="${at}" y1="${TOP}" x2="${at}" y2="${height - 28}" stroke="#e2e8f0"/>` +
      `<text x="${at}" y="${height - 12}" text-anchor="middle" fill="#64748b">${value.toLocaleString('en-US')}</text>`
    );
  });
}

function barOf({ label, value }: Metric, row: number, x: (value: number) => number): string {
  const y = TOP + row * ROW + 5;
  const end = Math.max(LABELS + 2, x(value));
  const fill = label.startsWith('Holdfast') ? OURS : THEIRS;
  return (
    `<text x="${LABELS - 10}" y="${y + 15}" text-anchor="end" fill="#0f172a">${escape(label)}</text>` +
    `<rect x="${LABELS}" y="${y}" width="${(end - LABELS).toFixed(1)}" height="20" rx="3" fill="${fill}"/>` +
    `<text x="${(end + 7).toFixed(1)}" y="${y + 15}" fill="#0f172a" font-weight="600">${number(value)}</text>`
  );
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

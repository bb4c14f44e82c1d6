/** Times as answers carry them. */
const MILLISECONDS = Array.from({ length: 1_000 }, (_, ms) => `${String(ms).padStart(3, '0')}Z`);
/** Later years are written with a sign and six digits. */
const YEAR_10000 = 253_402_300_800_000;
let second = -1;
let secondText = '';

/** ISO 8601. Deadlines of a rush lie in few seconds: the text of the last one is kept. */
export function time(ms: number): string {
  if (!(ms >= 0 && ms < YEAR_10000)) return new Date(ms).toISOString();
  const of = Math.floor(ms / 1_000);
  if (of !== second) {
    second = of;
    secondText = new Date(of * 1_000).toISOString().slice(0, 20);
  }
  return secondText + MILLISECONDS[Math.floor(ms) - of * 1_000]!;
}

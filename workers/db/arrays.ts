/**
 * Columns as Postgres array literals. node-pg would look at every element's type; a column's type is known, and joining is the
 * cheapest thing JavaScript can do with it.
 */

/** A column of integers. */
export function numbers(column: readonly number[]): string {
  return `{${column.join(',')}}`;
}

const SPECIAL = /["\\\0]/;
const EACH_SPECIAL = /["\\\0]/g;

/** A column of texts. NUL, which Postgres cannot store, becomes U+FFFD. */
export function texts(column: readonly string[]): string {
  if (column.length === 0) return '{}';
  const plain = column.join('","');
  // The joints hold quotes themselves, so the elements are looked at only when something else may be special.
  const suspicious = plain.length > 0 && needsEscape(column, plain);
  return suspicious ? `{"${column.map(escape).join('","')}"}` : `{"${plain}"}`;
}

function needsEscape(column: readonly string[], joined: string): boolean {
  if (joined.includes('\\') || joined.includes('\0')) return true;
  let quotes = 0;
  for (let at = joined.indexOf('"'); at >= 0; at = joined.indexOf('"', at + 1)) quotes++;
  return quotes !== 2 * (column.length - 1);
}

function escape(text: string): string {
  return SPECIAL.test(text) ? text.replace(EACH_SPECIAL, (c) => (c === '\0' ? '\ufffd' : `\\${c}`)) : text;
}

/** Ids, skus and locations: nothing in them can reach into a key name or an address. */
export const ID_PATTERN = '^[A-Za-z0-9._~-]{1,128}$';
const pattern = new RegExp(ID_PATTERN);

export function isId(text: string): boolean {
  return pattern.test(text);
}

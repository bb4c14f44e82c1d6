/**
 * Answers of many items from memory, at once: refs are cut out of the request as they stand there and looked up; nothing is made
 * for an item but its share of the answer. (S2)
 *
 * Whatever is not as it usually is (an item that is not in memory, another spelling, a mistake) makes the whole request take the
 * careful way, where it is validated. A ref that is in memory has been validated before.
 */
import type { NearCache } from '../../engine/cache/near-cache.js';
import { MAX_ITEMS } from '../schemas/stock.js';
import { jsonItem, packedItem, packedListHead } from './fragments.js';

const ITEMS = 'items=';
/** An answer of MAX_ITEMS of the longest names: 500 × (2 × 128 + about 180). */
const SCRATCH_BYTES = 512 * 1024;
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** Reads what follows; undefined where it is unusual. */
type Cut = (text: string) => string[] | undefined;

/** `items=loc:sku,loc:sku`, and nothing else. */
export function refsOfQuery(query: string): string[] | undefined {
  if (!query.startsWith(ITEMS)) return undefined;
  const refs: string[] = [];
  for (let at = ITEMS.length; ;) {
    const comma = query.indexOf(',', at);
    if (refs.length === MAX_ITEMS) return undefined;
    refs.push(comma < 0 ? query.slice(at) : query.slice(at, comma));
    if (comma < 0) return refs;
    at = comma + 1;
  }
}

/** `{"items":[["loc","sku"],…]}` without any blanks. */
export const refsOfJson: Cut = (text) => {
  const start = '{"items":[["';
  if (!text.startsWith(start)) return undefined;
  const refs: string[] = [];
  for (let at = start.length; ;) {
    const location = text.indexOf('"', at);
    if (location < 0 || !text.startsWith('","', location) || refs.length === MAX_ITEMS) return undefined;
    const sku = text.indexOf('"', location + 3);
    if (sku < 0) return undefined;
    refs.push(`${text.slice(at, location)}:${text.slice(location + 3, sku)}`);
    if (text.startsWith('"],["', sku)) at = sku + 5;
    else return text.length === sku + 4 && text.endsWith('"]]}') ? refs : undefined;
  }
};

/** The same in MessagePack; `text` has a character a byte. */
export const refsOfPacked: Cut = (text) => {
  const key = '\xa5items';
  // A map of one entry in its shortest form, or as msgpackr writes every map.
  let at = text.charCodeAt(0) === 0x81 ? 1 : text.startsWith('\xde\x00\x01') ? 3 : 0;
  if (at === 0 || !text.startsWith(key, at)) return undefined;
  at += key.length;
  const type = text.charCodeAt(at++);
  let count = type & 0x0f;
  if (type === 0xdc) {
    count = text.charCodeAt(at) * 256 + text.charCodeAt(at + 1);
    at += 2;
  } else if ((type & 0xf0) !== 0x90) return undefined;
  if (!(count >= 1 && count <= MAX_ITEMS)) return undefined;
  const refs = new Array<string>(count);
  const word = (): string => {
    const head = text.charCodeAt(at++);
    const length = head === 0xd9 ? text.charCodeAt(at++) : (head & 0xe0) === 0xa0 ? head & 0x1f : 0;
    at += length;
    return text.slice(at - length, at);
  };
  for (let index = 0; index < count; index++) {
    if (text.charCodeAt(at++) !== 0x92) return undefined;
    const location = word();
    refs[index] = `${location}:${word()}`;
  }
  return at === text.length ? refs : undefined;
};

/**
 * The whole answer, or undefined when an item has to be read first. The bytes are valid until the next call.
 * @param now performance.now()
 */
export function answerOf(cache: NearCache, refs: readonly string[], packed: boolean, now: number): Buffer | undefined {
  let text = packed ? packedListHead(refs.length) : '{"items":[';
  for (let index = 0; index < refs.length; index++) {
    const entry = cache.hit(refs[index]!, now);
    if (entry === undefined) return undefined;
    const staleMs = cache.ageOf(entry, now);
    if (packed) text += packedItem(entry, staleMs);
    else text += index === 0 ? jsonItem(entry, staleMs) : `,${jsonItem(entry, staleMs)}`;
  }
  if (!packed) text += ']}';
  if (text.length > SCRATCH_BYTES) return undefined;
  return scratch.subarray(0, scratch.write(text, 0, 'latin1'));
}

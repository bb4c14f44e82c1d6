/**
 * Answers of many items from memory, at once: refs are cut out of the request as they stand there and looked up; nothing is made
 * for an item but its share of the answer. (S2)
 *
 * Whatever is not as it usually is (an item that is not in memory, another spelling, a mistake) makes the whole request take the
 * careful way, where it is validated. A ref that is in memory has been validated before.
 */
import type { Entry } from '../../engine/cache/entry.js';
import type { NearCache } from '../../engine/cache/near-cache.js';
import { MAX_ITEMS } from '../schemas/stock.js';
import { packedListHead, withJsonItem, withPackedItem } from './fragments.js';

const ITEMS = 'items=';
/** An answer of MAX_ITEMS of the longest names: 500 × (2 × 128 + about 180). */
const SCRATCH_BYTES = 512 * 1024;
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** Reads what follows; undefined where it is unusual. */
export type Cut = (text: string) => string[] | undefined;

/** `items=loc:sku,loc:sku`, and nothing else. */
export const refsOfQuery: Cut = (query) => {
  if (!query.startsWith(ITEMS)) return undefined;
  const refs: string[] = [];
  for (let at = ITEMS.length; ;) {
    const comma = query.indexOf(',', at);
    if (refs.length === MAX_ITEMS) return undefined;
    refs.push(comma < 0 ? query.slice(at) : query.slice(at, comma));
    if (comma < 0) return refs;
    at = comma + 1;
  }
};

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

/** Lists that are remembered; a shop shows the same pages again and again. */
const LISTS = 1_024;
/** Longer ones are not worth their memory. */
const LIST_CHARACTERS = 16 * 1024;

/**
 * Whole lists as they were asked for, with the entries they meant. A list is found by its length and some of its characters and
 * then compared: hashing all of it would cost as much as it saves. Of 100 items, cutting and looking up takes 5 µs, this 0.2.
 */
export class Batches {
  private readonly lists = new Array<{ text: string; entries: Entry[] } | undefined>(LISTS).fill(undefined);

  constructor(private readonly cache: NearCache) {}

  /**
   * The whole answer, or undefined when an item has to be read first or the list is unusual. The bytes are valid until the next
   * call. @param now performance.now()
   */
  answer(text: string, cut: Cut, packed: boolean, now: number): Buffer | undefined {
    const place = placeOf(text);
    const known = this.lists[place];
    const entries = known !== undefined && known.text === text ? known.entries : this.entriesOf(text, cut, place, now);
    if (entries === undefined) return undefined;
    return packed ? this.packed(entries, now) : this.json(entries, now);
  }

  private entriesOf(text: string, cut: Cut, place: number, now: number): Entry[] | undefined {
    const refs = cut(text);
    if (refs === undefined) return undefined;
    const entries: Entry[] = [];
    for (const ref of refs) {
      const entry = this.cache.find(ref);
      if (entry === undefined || !this.cache.usable(entry, now)) return undefined;
      entries.push(entry);
    }
    if (text.length <= LIST_CHARACTERS) this.lists[place] = { text, entries };
    return entries;
  }

  private json(entries: readonly Entry[], now: number): Buffer | undefined {
    let text = '{"items":[';
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index]!;
      if (!this.cache.use(entry, now)) return undefined;
      text = withJsonItem(text, entry, this.cache.ageOf(entry, now));
    }
    // The last comma becomes the end.
    const end = text.length > SCRATCH_BYTES - 2 ? 0 : scratch.write(text, 0, 'latin1');
    return end === 0 ? undefined : scratch.subarray(0, end - 1 + scratch.write(']}', end - 1, 'latin1'));
  }

  private packed(entries: readonly Entry[], now: number): Buffer | undefined {
    let text = packedListHead(entries.length);
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index]!;
      if (!this.cache.use(entry, now)) return undefined;
      text = withPackedItem(text, entry, this.cache.ageOf(entry, now));
    }
    return text.length > SCRATCH_BYTES ? undefined : scratch.subarray(0, scratch.write(text, 0, 'latin1'));
  }
}

/** Where a list would be remembered: by its length and a few characters from all over it, mostly from its end. */
function placeOf(text: string): number {
  const { length } = text;
  let hash = length;
  for (let step = 1; step <= 12; step++) {
    hash = (Math.imul(hash, 31) + text.charCodeAt(length - step)) | 0;
    hash = (Math.imul(hash, 31) + text.charCodeAt((length * step) >> 4)) | 0;
  }
  return (hash ^ (hash >>> 15)) & (LISTS - 1);
}

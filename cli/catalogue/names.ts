/**
 * Location names ↔ location ids. An id may hold `A-Z a-z 0-9 . _ - ~` only, a name in a file may hold anything.
 * The mapping is an escape, not a slug: it loses nothing, so an export needs no stored table to give the names back
 * and two names can never meet in one id.
 *
 *   space → `_`        any other byte outside the set, and `_` and `~` themselves → `~` and two hex digits
 *   "Rotterdam Zuid" → `Rotterdam_Zuid`     "Zürich" → `Z~C3~BCrich`
 *
 * SKUs go through it only where the user asks for that (`--encode-skus`, `--decode-skus`).
 * An id that no name encodes to (`a~b`, made through the API) is written to files as `id:a~b` and read back as itself.
 */
import { LIMITS } from './reasons.js';

const ID = /^[A-Za-z0-9._~-]{1,128}$/;
const RAW_PREFIX = 'id:';

/** Whether `text` can be a SKU or a location id. */
export function isId(text: string): boolean {
  return ID.test(text);
}

/** Escapes any text into the id alphabet. May be longer than an id can be; the caller checks. */
export function encodeName(name: string): string {
  let id = '';
  for (const byte of Buffer.from(name, 'utf8')) {
    const char = String.fromCharCode(byte);
    if (char === ' ') id += '_';
    else if (/[A-Za-z0-9.-]/.test(char)) id += char;
    else id += '~' + byte.toString(16).toUpperCase().padStart(2, '0');
  }
  return id;
}

/** The text that `encodeName` made `id` from, or undefined where it made no such id. */
export function decodeName(id: string): string | undefined {
  const bytes: number[] = [];
  for (let i = 0; i < id.length; i++) {
    const char = id.charAt(i);
    if (char === '_') bytes.push(0x20);
    else if (char === '~') {
      const hex = id.slice(i + 1, i + 3);
      if (!/^[0-9A-F]{2}$/.test(hex)) return undefined;
      bytes.push(parseInt(hex, 16));
      i += 2;
    } else bytes.push(id.charCodeAt(i));
  }
  const name = Buffer.from(bytes).toString('utf8');
  return encodeName(name) === id ? name : undefined;
}

/** The id for a name in a file, or undefined where the name is empty or takes more characters than an id can have. */
export function idOfName(name: string): string | undefined {
  // macOS writes accents decomposed: without NFC one place would become two.
  const clean = name.trim().normalize('NFC');
  if (clean.startsWith(RAW_PREFIX) && isId(clean.slice(RAW_PREFIX.length))) return clean.slice(RAW_PREFIX.length);
  const id = encodeName(clean);
  return id.length >= 1 && id.length <= LIMITS.idLength ? id : undefined;
}

/** The name to write for an id: `idOfName(nameOfId(id)) === id` for every valid id. */
export function nameOfId(id: string): string {
  const name = decodeName(id);
  // A name of control characters would be an id that nobody made from a name, and unreadable in a file.
  return name !== undefined && !/\p{Cc}/u.test(name) && idOfName(name) === id ? name : RAW_PREFIX + id;
}

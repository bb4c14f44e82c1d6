/** What an error reply says about the call: whether it ran, and what to do. */
import type { Endpoint } from '../redis/address.js';

export type Verdict =
  /** The slot is elsewhere. */
  | { readonly kind: 'moved'; readonly to: Endpoint | undefined }
  /** Not executed; the same node will do, a little later. */
  | { readonly kind: 'later'; readonly pauseMs: number; readonly refresh: boolean }
  /** Not executed: the scripts are not loaded, so recovery has not looked at this process yet. */
  | { readonly kind: 'noscript' }
  /** Not executed: out of memory. */
  | { readonly kind: 'memory' }
  /** Not executed, and the same again will not be either (rights, password). */
  | { readonly kind: 'refused' }
  /** The script itself failed; it may have written. */
  | { readonly kind: 'broken' };

/**
 * ASK is no reason to ask the other node: as long as a slot is on its way, the partition's owner is the node it leaves,
 * and the node it goes to would answer fenced. So it is waited for like TRYAGAIN, until MOVED.
 */
const LATER: Readonly<Record<string, { pauseMs: number; refresh: boolean }>> = {
  ASK: { pauseMs: 20, refresh: false },
  TRYAGAIN: { pauseMs: 10, refresh: false },
  BUSY: { pauseMs: 20, refresh: false },
  UNKILLABLE: { pauseMs: 100, refresh: false },
  CLUSTERDOWN: { pauseMs: 50, refresh: true },
  LOADING: { pauseMs: 100, refresh: true },
  MASTERDOWN: { pauseMs: 50, refresh: true },
  READONLY: { pauseMs: 20, refresh: true },
  NOREPLICAS: { pauseMs: 50, refresh: true },
  MISCONF: { pauseMs: 100, refresh: false },
};

export function verdictOf(error: Error): Verdict {
  const text = error.message;
  // An error raised inside a running script names its place in it; whatever its code, the script had begun.
  if (text.includes('@user_script')) return { kind: 'broken' };
  const space = text.indexOf(' ');
  const code = space < 0 ? text : text.slice(0, space);
  if (code === 'MOVED') return { kind: 'moved', to: movedTo(text) };
  if (code === 'NOSCRIPT') return { kind: 'noscript' };
  if (code === 'OOM') return { kind: 'memory' };
  if (code === 'NOAUTH' || code === 'NOPERM' || code === 'WRONGPASS') return { kind: 'refused' };
  const later = LATER[code];
  return later ? { kind: 'later', ...later } : { kind: 'broken' };
}

function movedTo(text: string): Endpoint | undefined {
  const address = text.split(' ')[2] ?? '';
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon);
  const port = Number(address.slice(colon + 1));
  return host && port ? { host, port } : undefined;
}

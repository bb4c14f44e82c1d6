/** What a client would rather have (RFC 9110, 12.4): only as far as there is a choice here. */

/** True where MessagePack is named and JSON is not preferred to it. */
export function prefersMessagePack(accept: string): boolean {
  if (!accept.includes('msgpack')) return false;
  let packed = 0;
  let json = 0;
  for (const part of accept.split(',')) {
    const quality = qualityOf(part);
    if (part.includes('msgpack')) packed = Math.max(packed, quality);
    else if (part.includes('application/json')) json = Math.max(json, quality);
  }
  return packed > 0 && packed >= json;
}

export function acceptsGzip(acceptEncoding: string): boolean {
  if (!acceptEncoding.includes('gzip')) return false;
  return acceptEncoding.split(',').some((part) => part.trim().startsWith('gzip') && qualityOf(part) > 0);
}

function qualityOf(part: string): number {
  const found = /;\s*q\s*=([^;]*)/i.exec(part);
  return found === null ? 1 : Number(found[1]) || 0;
}

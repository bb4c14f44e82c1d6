import { STATUS_CODES } from 'node:http';

const lines = new Map<number, string>();
for (const [code, text] of Object.entries(STATUS_CODES)) lines.set(Number(code), `${code} ${text}`);

/** `200` → `200 OK` */
export function statusLine(status: number): string {
  return lines.get(status) ?? String(status);
}

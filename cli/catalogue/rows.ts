/** One parsed record → what it asks for, by the layout of its file. No state but the arguments: duplicates are `read.ts`'s. */
import type { Layout } from './layout.js';
import { idOfName, isId } from './names.js';
import { LIMITS, type Outcome, type RejectedRow, type RejectReason } from './reasons.js';

export interface RowOptions {
  /** Escape SKUs into the id alphabet instead of rejecting them; asked for explicitly, a SKU is never renamed silently. */
  encodeSkus?: boolean;
}

type Count = { count: number } | { notStocked: true } | { reason: RejectReason; detail: string };

/** Text of a count cell → a number of units from 0 to the limit, `not stocked`, or why not. */
export function parseCount(cell: string, column: string): Count {
  const text = cell.trim();
  const bad = (reason: RejectReason, detail: string): Count => ({ reason, detail: `${column}: ${detail}` });
  if (text === '') return bad('count_missing', 'no count');
  if (text.toLowerCase() === 'not stocked') return { notStocked: true };
  const shown = JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
  if (/^-\d+(\.\d+)?$/.test(text)) return bad('count_negative', `${shown} is below 0`);
  if (/^\d+[.,]\d+$/.test(text)) {
    return bad('count_decimal', `${shown} is not a whole number (counts are digits only, no separators)`);
  }
  if (!/^\d+$/.test(text)) return bad('count_not_numeric', `${shown} is not a number of units`);
  const count = Number(text);
  return count > LIMITS.count ? bad('count_too_large', `${shown} is above ${LIMITS.count}`) : { count };
}

function skuFault(sku: string): string {
  const shown = JSON.stringify(sku.length > 60 ? `${sku.slice(0, 60)}…` : sku);
  if (sku.length > LIMITS.idLength) return `${shown} is longer than ${LIMITS.idLength} characters`;
  if (/^\d+([.,]\d+)?E\+\d+$/i.test(sku)) return `${shown} is a number that a spreadsheet shortened; restore the SKU`;
  if (sku.trim() !== sku && isId(sku.trim())) return `${shown} has spaces around it`;
  const chars = [...new Set([...sku].filter((char) => !/[A-Za-z0-9._~-]/.test(char)))];
  return `${shown} has ${chars
    .slice(0, 5)
    .map((char) => JSON.stringify(char))
    .join(' ')}; allowed are A-Z a-z 0-9 . _ - ~ (--encode-skus escapes the rest)`;
}

/**
 * What a record asks for: one outcome, or one a location in the `by-location` layout.
 * @param line physical line on which the record begins
 */
export function interpret(layout: Layout, fields: string[], line: number, options: RowOptions = {}): Outcome[] {
  if (fields.every((field) => field.trim() === '')) return [{ kind: 'skipped', line, why: 'blank' }];
  const reject = (reason: RejectReason, detail: string, more: Partial<RejectedRow> = {}): Outcome[] => [
    { kind: 'rejected', line, reason, detail, fields, ...more },
  ];
  if (fields.length !== layout.header.length) {
    return reject('columns', `${fields.length} columns where the header has ${layout.header.length}`);
  }
  const given = fields[layout.sku] ?? '';
  if (given.trim() === '') return reject('sku_missing', 'the SKU is empty');
  const sku = options.encodeSkus ? (idOfName(given) ?? given) : given;
  if (!isId(sku)) return reject('sku_invalid', skuFault(given), { sku: given });

  const attributes: Record<string, string> = {};
  for (const { index, name } of layout.attributes) {
    const value = fields[index] ?? '';
    if (value !== '') attributes[name] = value;
  }
  const size = Buffer.byteLength(JSON.stringify(attributes));
  if (size > LIMITS.attributesBytes) {
    return reject(
      'attributes_too_large',
      `${size} bytes of descriptive columns; the limit is ${LIMITS.attributesBytes}`,
      { sku },
    );
  }
  if (layout.name === 'by-location') {
    return layout.locations.flatMap(({ index, name }): Outcome[] => {
      // A blank cell of a location means what `not stocked` says elsewhere.
      if ((fields[index] ?? '').trim() === '') return [{ kind: 'skipped', line, why: 'not_stocked' }];
      return place(fields, line, sku, name, attributes, {
        kind: 'available',
        value: parseCount(fields[index] ?? '', name),
      });
    });
  }
  return place(fields, line, sku, fields[layout.location] ?? '', attributes, countOf(layout, fields));
}

interface Ask {
  kind: 'onHand' | 'available';
  value: Count;
  overwrite?: boolean;
  expectedOnHand?: number;
}

/** Which of the count columns speaks, and whether it asks for a change or only reports. */
function countOf(layout: Layout, fields: string[]): Ask {
  const cell = (index: number): string => (index < 0 ? '' : (fields[index] ?? '').trim());
  if (layout.name === 'on-hand') return { kind: 'onHand', value: parseCount(cell(layout.onHand), 'On hand') };
  const wanted = cell(layout.onHandNew);
  const current = cell(layout.onHandCurrent);
  if (wanted === '') {
    const column = layout.onHandCurrent >= 0 ? 'On hand (current)' : 'On hand (new)';
    return { kind: 'onHand', value: parseCount(current, column), overwrite: false };
  }
  const value = parseCount(wanted, 'On hand (new)');
  if (current === '') return { kind: 'onHand', value };
  const before = parseCount(current, 'On hand (current)');
  if ('count' in before) return { kind: 'onHand', value, expectedOnHand: before.count };
  // Oversold or not stocked where the file comes from: nothing to compare with here. Anything else is damage.
  const harmless = 'notStocked' in before || before.reason === 'count_negative';
  return { kind: 'onHand', value: harmless ? value : before };
}

function place(
  fields: string[],
  line: number,
  sku: string,
  locationName: string,
  attributes: Record<string, string>,
  ask: Ask,
): Outcome[] {
  const reject = (reason: RejectReason, detail: string, location?: string): Outcome[] => [
    { kind: 'rejected', line, reason, detail, fields, sku, ...(location === undefined ? {} : { location }) },
  ];
  const name = locationName.trim().normalize('NFC');
  if (name === '') return reject('location_missing', 'the location is empty');
  const location = idOfName(name);
  if (location === undefined) {
    return reject('location_invalid', `the location name takes more than ${LIMITS.idLength} characters as an id`);
  }
  if ('reason' in ask.value) return reject(ask.value.reason, ask.value.detail, location);
  if ('notStocked' in ask.value) return [{ kind: 'skipped', line, why: 'not_stocked' }];
  return [
    {
      kind: 'accepted',
      line,
      location,
      locationName: name,
      sku,
      count: ask.value.count,
      counts: ask.kind,
      overwrite: ask.overwrite ?? true,
      ...(ask.expectedOnHand === undefined ? {} : { expectedOnHand: ask.expectedOnHand }),
      attributes,
      fields,
    },
  ];
}

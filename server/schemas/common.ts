/** Pieces that several resources share. */
import { Type, type TSchema } from '@sinclair/typebox';
import { limits } from '../../engine/scripts/generated/limits.js';
import { ID_PATTERN } from './ids.js';

const names = new WeakMap<object, string>();

/** Gives a schema a name of its own in the OpenAPI document. */
export function named<S extends TSchema>(name: string, schema: S): S {
  names.set(schema, name);
  return schema;
}

export function nameOf(schema: object): string | undefined {
  return names.get(schema);
}

const shown = new WeakMap<object, TSchema>();

/** Takes anything, and is published as the schema its content is checked by later. */
export function shownAs(schema: TSchema) {
  const anything = Type.Unknown();
  shown.set(anything, schema);
  return anything;
}

export function publishedAs(schema: object): TSchema | undefined {
  return shown.get(schema);
}

export const Id = (description: string) =>
  Type.String({ pattern: ID_PATTERN, description, expects: '1 to 128 of A-Z a-z 0-9 . _ - ~' });

export const LocationId = Id('Where the stock lies: a fulfilment centre, a shop.');
export const Sku = Id('The stock-keeping unit.');
export const BuyerId = Id('The buyer; a buyer’s own `sub`.');
export const ReservationId = Id('The reservation.');

export const Quantity = Type.Integer({ minimum: 1, maximum: limits.max_quantity, description: 'Whole units.' });
export const Count = Type.Integer({ minimum: 0, maximum: limits.max_stock, description: 'Whole units.' });
export const HoldSeconds = Type.Integer({
  minimum: 1,
  maximum: limits.max_hold_seconds,
  description: 'Seconds a hold lasts.',
});
export const DateTime = (description: string) => Type.String({ format: 'date-time', description });

export const Ack = Type.Union([Type.Literal('executed'), Type.Literal('replicated'), Type.Literal('durable')], {
  description:
    '`executed`: the script ran. `replicated`: every replica of the shard has it. `durable`: Postgres has committed it.',
});

/**
 * Free text. Control characters and lone surrogates are refused here because Postgres takes neither, and by then the
 * change would have been made.
 */
export const Text = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: limits.text_bytes,
    pattern: '^(?:[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$',
    description: `${description} At most ${limits.text_bytes} bytes in UTF-8, no control characters.`,
    expects: `a text of 1 to ${limits.text_bytes} bytes without control characters`,
  });

/** Objects of request bodies take no fields but their own. */
export const closed = { additionalProperties: false } as const;

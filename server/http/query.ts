/** Query strings → objects. Numbers and flags arrive as text; which is which the schema says. */
import { Kind, type TObject, type TSchema } from '@sinclair/typebox';
import { invalidField, problem } from './problems.js';

/** Unknown parameters are refused: a misspelt `fresh` would otherwise be a stale answer nobody notices. */
export function parseQuery(text: string, schema: TObject | undefined): Record<string, unknown> {
  const query: Record<string, unknown> = {};
  if (text === '') return query;
  for (const [name, value] of new URLSearchParams(text)) {
    const wanted = schema !== undefined && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    if (wanted === undefined) {
      throw problem('invalid_request', `${name} is not a known query parameter.`, {
        errors: [{ field: name, code: 'unknown_field', detail: 'is not a known query parameter' }],
      });
    }
    if (Object.hasOwn(query, name)) throw invalidField(name, 'must be given once');
    query[name] = convert(value, wanted);
  }
  return query;
}

function convert(value: string, wanted: TSchema): unknown {
  if (wanted[Kind] === 'Integer') return /^-?\d{1,16}$/.test(value) ? Number(value) : value;
  if (wanted[Kind] === 'Boolean')
    return value === 'true' || value === '' || value === '1'
      ? true
      : value === 'false' || value === '0'
        ? false
        : value;
  return value;
}

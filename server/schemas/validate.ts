/**
 * TypeBox schemas are the one source of what the server takes: checked by compiled validators, published as OpenAPI, and
 * the handlers' types come from them.
 */
import { FormatRegistry, Kind, type Static, type TSchema } from '@sinclair/typebox';
import { TypeCompiler, type TypeCheck } from '@sinclair/typebox/compiler';
import { ValueErrorType, type ValueError } from '@sinclair/typebox/errors';
import { problem, type Problem, type ProblemDetail } from '../http/problems.js';

/** Mistakes listed in one answer. */
const MAX_ERRORS = 20;

const DATE_TIME =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
FormatRegistry.Set('date-time', (text) => DATE_TIME.test(text) && !Number.isNaN(Date.parse(text)));

export interface Validator<S extends TSchema> {
  readonly schema: S;
  /** @throws Problem invalid_request naming every field that is wrong */
  parse(value: unknown): Static<S>;
}

export function validator<S extends TSchema>(schema: S): Validator<S> {
  const compiled: TypeCheck<S> = TypeCompiler.Compile(schema);
  return {
    schema,
    parse(value) {
      if (compiled.Check(value)) return value;
      throw refusal(compiled.Errors(value));
    },
  };
}

function refusal(found: Iterable<ValueError>): Problem {
  const errors: ProblemDetail[] = [];
  const seen = new Set<string>();
  for (const error of found) {
    const field = fieldOf(error.path);
    // A missing field is also reported as being of the wrong type; the first report is the one that helps.
    if (seen.has(field)) continue;
    seen.add(field);
    errors.push({ field, ...explain(error) });
    if (errors.length === MAX_ERRORS) break;
  }
  const first = errors[0];
  const detail = first === undefined ? 'The request is not valid.' : sentence(first, errors.length - 1);
  return problem('invalid_request', detail, { errors });
}

function sentence(first: ProblemDetail, more: number): string {
  const name = first.field === '' ? 'The body' : (first.field ?? '');
  return `${name} ${first.detail}${more > 0 ? `; ${more} more in errors` : ''}.`;
}

/** `/lines/0/sku` → `lines[0].sku` */
function fieldOf(path: string): string {
  return path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((field, part) => (/^\d+$/.test(part) ? `${field}[${part}]` : field === '' ? part : `${field}.${part}`), '');
}

function explain(error: ValueError): { code: string; detail: string } {
  switch (error.type) {
    case ValueErrorType.ObjectAdditionalProperties:
      return { code: 'unknown_field', detail: 'is not a known field' };
    case ValueErrorType.ObjectRequiredProperty:
      return { code: 'missing', detail: `is missing: ${describe(error.schema)}` };
    default:
      return { code: 'invalid', detail: `must be ${describe(error.schema)}` };
  }
}

/** What a schema takes, in words. */
export function describe(schema: TSchema): string {
  if (typeof schema['expects'] === 'string') return schema['expects'];
  switch (schema[Kind]) {
    case 'Union': {
      const parts = ((schema['anyOf'] ?? []) as TSchema[]).map(describe);
      return [...new Set(parts)].join(' or ');
    }
    case 'Literal':
      return JSON.stringify(schema['const']);
    case 'Null':
      return 'null';
    case 'Boolean':
      return 'true or false';
    case 'Integer':
      return `an integer${range(schema['minimum'], schema['maximum'])}`;
    case 'Number':
      return `a number${range(schema['minimum'], schema['maximum'])}`;
    case 'Array':
    case 'Tuple':
      return `a list${range(schema['minItems'], schema['maxItems'], ' entries')}`;
    case 'Object':
    case 'Record':
      return 'an object';
    default:
      return schema['format'] === 'date-time'
        ? 'a time as in 2026-01-31T12:00:00Z'
        : `a text${range(schema['minLength'], schema['maxLength'], ' characters')}`;
  }
}

function range(from: unknown, to: unknown, unit = ''): string {
  if (typeof from === 'number' && typeof to === 'number') {
    return unit === '' ? ` from ${from} to ${to}` : ` of ${from} to ${to}${unit}`;
  }
  if (typeof to === 'number') return ` of at most ${to}${unit}`;
  return typeof from === 'number' ? ` of at least ${from}${unit}` : '';
}

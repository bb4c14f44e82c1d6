/** Stock: what goes in and out. (S1–S4, S7, S12) */
import { Type, type Static } from '@sinclair/typebox';
import { limits } from '../../engine/scripts/generated/limits.js';
import {
  Ack,
  BuyerId,
  closed,
  Count,
  DateTime,
  HoldSeconds,
  Id,
  LocationId,
  named,
  Quantity,
  shownAs,
  Sku,
  Text,
} from './common.js';

/** Items one request may read. */
export const MAX_ITEMS = 500;
/** Rows one import request may bring. */
export const MAX_IMPORT_ROWS = 500;
/** Bytes of an imported row's attributes, as JSON. */
export const MAX_ATTRIBUTE_BYTES = 4096;
/** Entries of one page of movements or of an export. */
export const MAX_PAGE = 1000;

const level = {
  location: LocationId,
  sku: Sku,
  available: Count,
  reserved: Count,
  sold: Count,
  version: Type.Integer({ minimum: 0, description: 'Grows by one with every change of the item.' }),
  updatedAt: DateTime('When the item last changed.'),
};

const StaleMs = Type.Number({ minimum: 0, description: 'How old the answer may be, in milliseconds.' });

const settingValues = {
  buyerLimit: Quantity,
  opensAt: DateTime('Start of the sale.'),
  closesAt: DateTime('End of the sale.'),
  lowStock: Count,
  holdSeconds: HoldSeconds,
  room: Id('The waiting room that protects the item.'),
};

export const StockSettingsOut = named('StockSettings', Type.Partial(Type.Object(settingValues, closed)));

export const StockLevelOut = named('StockLevel', Type.Object({ ...level, staleMs: StaleMs }, closed));
export const StockChangeOut = named('StockChange', Type.Object({ ...level, ack: Ack }, closed));
export const StockItemOut = named(
  'StockItem',
  Type.Object({ ...level, settings: Type.Optional(StockSettingsOut), ack: Ack }, closed),
);

export const UnknownItem = named(
  'UnknownItem',
  Type.Object({ location: LocationId, sku: Sku, code: Type.Literal('sku_not_found') }, closed),
);
export const StockLevels = named(
  'StockLevels',
  Type.Object({ items: Type.Array(Type.Union([StockLevelOut, UnknownItem])) }, closed),
);

export const ReadQuery = Type.Object(
  { fresh: Type.Optional(Type.Boolean({ description: 'Ask the store itself, past any cache. (S10)' })) },
  closed,
);
export const ReadManyQuery = Type.Object(
  {
    items: Type.String({
      minLength: 3,
      pattern: '^[A-Za-z0-9._~-]{1,128}:[A-Za-z0-9._~-]{1,128}(?:,[A-Za-z0-9._~-]{1,128}:[A-Za-z0-9._~-]{1,128})*$',
      description: `Up to ${MAX_ITEMS} of \`location:sku\`, separated by commas.`,
      expects: `location:sku,location:sku,… with at most ${MAX_ITEMS} items`,
    }),
    fresh: Type.Optional(Type.Boolean({ description: 'Ask the store itself, past any cache. (S10)' })),
  },
  closed,
);
export const StockQueryBody = named(
  'StockQuery',
  Type.Object(
    {
      items: Type.Array(Type.Tuple([LocationId, Sku], { description: '`[location, sku]`' }), {
        minItems: 1,
        maxItems: MAX_ITEMS,
      }),
    },
    closed,
  ),
);

const orNull = <T extends ReturnType<typeof Type.Integer> | ReturnType<typeof Type.String>>(value: T) =>
  Type.Optional(
    Type.Union([value, Type.Null()], { description: `${value.description ?? ''} \`null\` removes it.`.trim() }),
  );

const settingFields = {
  buyerLimit: orNull(settingValues.buyerLimit),
  opensAt: orNull(settingValues.opensAt),
  closesAt: orNull(settingValues.closesAt),
  lowStock: orNull(settingValues.lowStock),
  holdSeconds: orNull(settingValues.holdSeconds),
  room: orNull(settingValues.room),
};
const SettingsIn = Type.Object(settingFields, closed);
export type SettingsInput = Static<typeof SettingsIn>;

const ackField = { ack: Type.Optional(Ack) };

export const ConfigureBody = named('ConfigureStock', Type.Object({ ...settingFields, ...ackField }, closed));

export const RestockBody = named(
  'Restock',
  Type.Object(
    {
      quantity: Quantity,
      reason: Type.Optional(Text('Why, for the audit trail.')),
      movementId: Type.Optional(Id('Repeating under the same id changes nothing.')),
      ...ackField,
    },
    closed,
  ),
);

export const AdjustBody = named(
  'Adjust',
  Type.Object(
    {
      by: Type.Optional(
        Type.Integer({ minimum: -limits.max_stock, maximum: limits.max_stock, description: 'The difference, not 0.' }),
      ),
      countedTo: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: limits.max_stock,
          description: 'The physical count: available + reserved.',
        }),
      ),
      reason: Text('Why, for the audit trail.'),
      movementId: Type.Optional(Id('Repeating under the same id changes nothing.')),
      ...ackField,
    },
    { ...closed, oneOf: [{ required: ['by'] }, { required: ['countedTo'] }] },
  ),
);

export const DeductBody = named(
  'Deduct',
  Type.Object(
    {
      quantity: Quantity,
      orderId: Id('The order; repeating under the same id sells once.'),
      buyerId: Type.Optional(BuyerId),
      ...ackField,
    },
    closed,
  ),
);

export const PageQuery = Type.Object(
  {
    after: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 300,
        pattern: '^[A-Za-z0-9._~:-]+$',
        description: '`next` of the page before.',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: 100 })),
  },
  closed,
);

export const Movement = named(
  'Movement',
  Type.Object(
    {
      seq: Type.Integer({
        minimum: 1,
        description: 'Number of the event in its partition; gapless there, so not gapless here.',
      }),
      epoch: Type.Integer({ minimum: 0 }),
      at: DateTime('When it happened, by the clock of the store.'),
      kind: Type.String({ description: 'What happened, e.g. `restocked`, `held`, `confirmed`.' }),
      id: Type.String({ description: 'Reservation, order or movement it belongs to.' }),
      quantity: Type.Integer(),
      actor: Type.String({ description: 'Who caused it.' }),
      reason: Type.String({ description: 'Why, in the words of who changed it.' }),
      settings: Type.Optional(
        Type.Record(Type.String(), Type.Unknown(), { description: 'For `configured`: what was set.' }),
      ),
      before: Type.Object({ available: Type.Integer(), reserved: Type.Integer(), sold: Type.Integer() }, closed),
      after: Type.Object({ available: Type.Integer(), reserved: Type.Integer(), sold: Type.Integer() }, closed),
      version: Type.Integer({ minimum: 0 }),
    },
    closed,
  ),
);
const Next = Type.Union([Type.String(), Type.Null()], { description: '`after` of the next page; null at the end.' });
export const Movements = named('Movements', Type.Object({ items: Type.Array(Movement), next: Next }, closed));

/** Titles, options and whatever else an importer wants back; not looked at. (S12) */
const Attributes = Type.Record(Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f]{1,128}$' }), Type.String(), {
  description: `Kept with the item and given back by the export; at most ${MAX_ATTRIBUTE_BYTES} bytes as JSON.`,
});

/** Checked row by row, so that one bad row does not refuse the others: to the body as a whole a row may be anything. */
export const ImportRow = Type.Object(
  {
    line: Type.Optional(Type.Integer({ minimum: 0, description: 'Where the row stands in the file.' })),
    location: LocationId,
    sku: Sku,
    countedTo: Type.Integer({
      minimum: 0,
      maximum: limits.max_stock,
      description: 'The physical count: available + reserved.',
    }),
    attributes: Type.Optional(Attributes),
    settings: Type.Optional(SettingsIn),
  },
  closed,
);
export type ImportRowInput = Static<typeof ImportRow>;
export const ImportBody = named(
  'Import',
  Type.Object(
    {
      rows: Type.Array(shownAs(named('ImportRow', ImportRow)), { minItems: 1, maxItems: MAX_IMPORT_ROWS }),
      reason: Text('Why, for the audit trail.'),
      importId: Type.String({
        pattern: '^[A-Za-z0-9._~-]{1,100}$',
        description: 'Repeating under the same id changes nothing.',
        expects: '1 to 100 of A-Z a-z 0-9 . _ - ~',
      }),
    },
    closed,
  ),
);
export const ImportResult = named(
  'ImportResult',
  Type.Object(
    {
      line: Type.Optional(Type.Integer()),
      location: Type.String(),
      sku: Type.String(),
      status: Type.Union(['created', 'adjusted', 'unchanged', 'rejected'].map((status) => Type.Literal(status))),
      code: Type.Optional(Type.String()),
      detail: Type.Optional(Type.String()),
      available: Type.Optional(Count),
    },
    closed,
  ),
);
export const ImportResults = named('ImportResults', Type.Object({ results: Type.Array(ImportResult) }, closed));

export const ExportItem = named(
  'ExportItem',
  Type.Object({ ...level, attributes: Type.Record(Type.String(), Type.String()) }, closed),
);
export const ExportPage = named('ExportPage', Type.Object({ items: Type.Array(ExportItem), next: Next }, closed));

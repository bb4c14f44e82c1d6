-- The items as of the partition's position. `settings` has the names of the engine's StockSettings; `attributes` is for importers
-- (titles, options) and never touched by the drain. Times are milliseconds.
CREATE TABLE stock (
  ref text COLLATE "C" PRIMARY KEY,
  partition integer NOT NULL,
  available bigint NOT NULL CHECK (available >= 0),
  reserved bigint NOT NULL CHECK (reserved >= 0),
  sold bigint NOT NULL CHECK (sold >= 0),
  version bigint NOT NULL,
  updated_at bigint NOT NULL,
  location text COLLATE "C" NOT NULL,
  sku text COLLATE "C" NOT NULL,
  settings jsonb NOT NULL DEFAULT '{}',
  attributes jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70)

-- Answers of restocks, adjustments and deductions by id. `buyer`, `counted`: whose units of a limited item a deduction took.
CREATE TABLE id_records (
  fingerprint bigint NOT NULL,
  available bigint NOT NULL,
  reserved bigint NOT NULL,
  sold bigint NOT NULL,
  version bigint NOT NULL,
  updated_at bigint NOT NULL,
  counted bigint NOT NULL,
  partition integer NOT NULL,
  kind smallint NOT NULL,
  id text COLLATE "C" NOT NULL,
  ref text COLLATE "C" NOT NULL,
  buyer text NOT NULL,
  PRIMARY KEY (partition, id, ref)
)

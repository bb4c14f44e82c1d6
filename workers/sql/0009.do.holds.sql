-- One row per reservation and partition, as its record in Redis: state 1 held, 2 confirmed, 3 released, 4 expired, 5 returned.
-- Lines are parallel arrays in the order of the record. Times are milliseconds. Only the key is indexed, so that a confirm
-- rewrites the row on its own page (fillfactor) and touches no index.
CREATE TABLE holds (
  deadline bigint NOT NULL,
  fingerprint bigint NOT NULL,
  attempt bigint NOT NULL,
  resolved_at bigint NOT NULL,
  held_at bigint NOT NULL,
  partition integer NOT NULL,
  state smallint NOT NULL,
  id text COLLATE "C" NOT NULL,
  buyer text NOT NULL,
  refs text[] NOT NULL,
  quantities bigint[] NOT NULL,
  returned bigint[] NOT NULL,
  counted smallint[] NOT NULL,
  PRIMARY KEY (partition, id)
) WITH (fillfactor = 60)

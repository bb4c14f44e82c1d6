-- The ledger: every event of every partition's log, once, in order, never changed (S7). Counts are those after the event.
-- `at`, `deadline` are milliseconds. A table partitioned by time must have the time in its key; that (partition, epoch, seq)
-- comes once is seen to by advance_position, which lets each number through once.
CREATE TABLE movements (
  seq bigint NOT NULL,
  epoch bigint NOT NULL,
  at bigint NOT NULL,
  partition integer NOT NULL,
  kind smallint NOT NULL,
  quantity bigint NOT NULL,
  available bigint NOT NULL,
  reserved bigint NOT NULL,
  sold bigint NOT NULL,
  version bigint NOT NULL,
  deadline bigint NOT NULL,
  fingerprint bigint NOT NULL,
  attempt bigint NOT NULL,
  ref text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  actor text NOT NULL,
  detail text NOT NULL,
  PRIMARY KEY (partition, seq, epoch, at)
) PARTITION BY RANGE (at)

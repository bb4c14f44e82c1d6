-- Reservations over several partitions, in their home partition; state as in holds, and 6 pending.
CREATE TABLE claims (
  deadline bigint NOT NULL,
  fingerprint bigint NOT NULL,
  attempt bigint NOT NULL,
  resolved_at bigint NOT NULL,
  opened_at bigint NOT NULL,
  partition integer NOT NULL,
  state smallint NOT NULL,
  id text COLLATE "C" NOT NULL,
  buyer text NOT NULL,
  refs text[] NOT NULL,
  quantities bigint[] NOT NULL,
  PRIMARY KEY (partition, id)
) WITH (fillfactor = 60)

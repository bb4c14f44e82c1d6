-- Every epoch that recovery announced: its events follow event `opened_after`, the last one of epoch `parent` that counts. Going back
-- over the parents from the newest opening tells for each older epoch up to where its events count; a position that lags behind
-- several failovers needs all of them. `parent` is null where it is not known: for the one announced before this table was made.
CREATE TABLE openings (
  epoch bigint NOT NULL,
  opened_after bigint NOT NULL,
  parent bigint CHECK (parent < epoch),
  announced_at timestamptz NOT NULL DEFAULT now(),
  partition integer NOT NULL,
  PRIMARY KEY (partition, epoch)
)

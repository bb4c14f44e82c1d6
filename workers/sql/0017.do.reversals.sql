-- What callers had been told of (ack `executed`) and a failover or restart took back: one row per operation and item, written by the
-- events of kind `reversed`. `kind` is that of the event that is gone (movement_kinds), `lost_epoch`, `lost_seq` name the script call
-- that had carried it; `epoch`, `seq` the event in the ledger that says so. `quantity` is 0 where the call did not name one.
CREATE TABLE reversals (
  lost_epoch bigint NOT NULL,
  lost_seq bigint NOT NULL,
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  at bigint NOT NULL,
  quantity bigint NOT NULL,
  partition integer NOT NULL,
  kind smallint NOT NULL,
  id text COLLATE "C" NOT NULL,
  ref text COLLATE "C" NOT NULL,
  actor text NOT NULL,
  PRIMARY KEY (partition, id, ref, kind, lost_epoch, lost_seq)
)

-- How far each partition is persisted. `epoch` is the fence: nothing is accepted under an older one unless the log of the epoch
-- itself vouches for it; recovery raises it. `log_epoch`, `seq` name the last event in the ledger; `at` is its time in ms.
CREATE TABLE positions (
  partition integer PRIMARY KEY,
  epoch bigint NOT NULL DEFAULT 0,
  log_epoch bigint NOT NULL DEFAULT 0,
  seq bigint NOT NULL DEFAULT 0,
  at bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (epoch >= log_epoch)
) WITH (fillfactor = 50)

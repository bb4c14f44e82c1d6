-- How far each partition is persisted. `log_epoch`, `seq` name the last event in the ledger, `at` is its time in ms. `epoch` is the
-- fence: the newest epoch that recovery announced. Events of an older epoch are accepted only up to number `opened_after`, where the
-- announced epoch begins: what a cut-off master wrote beyond it never happened.
CREATE TABLE positions (
  partition integer PRIMARY KEY,
  epoch bigint NOT NULL DEFAULT 0,
  opened_after bigint NOT NULL DEFAULT 0,
  log_epoch bigint NOT NULL DEFAULT 0,
  seq bigint NOT NULL DEFAULT 0,
  at bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (epoch >= log_epoch)
) WITH (fillfactor = 50)

-- Partitions whose log cannot be persisted: the position they stopped at and why. The row goes when the partition goes on.
CREATE TABLE quarantine (
  partition integer PRIMARY KEY,
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  reason text NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  last_seen timestamptz NOT NULL DEFAULT now()
)

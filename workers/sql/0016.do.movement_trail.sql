-- The ledger for people and reports: names and timestamps instead of numbers.
CREATE VIEW movement_trail AS
SELECT
  m.partition, m.epoch, m.seq, to_timestamp(m.at / 1000.0) AS at, coalesce(k.name, m.kind::text) AS kind,
  split_part(m.ref, ':', 1) AS location, split_part(m.ref, ':', 2) AS sku, m.id, m.quantity, m.actor, m.detail,
  m.available, m.reserved, m.sold, m.version
FROM movements m LEFT JOIN movement_kinds k USING (kind)

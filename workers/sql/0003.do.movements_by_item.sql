-- The audit trail of one item in order; events that concern no item are not in it.
CREATE INDEX movements_by_item ON movements (ref, seq) WHERE ref <> ''

-- A worker of an older version, which knows no chain, cannot persist any more.
DROP FUNCTION advance_positions(integer[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[])

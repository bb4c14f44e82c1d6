-- The function from before one transaction carried several partitions: it writes no link, and a worker that still uses it would leave a gap
-- in the ledger's chain.
DROP FUNCTION IF EXISTS advance_position(integer, bigint, bigint, bigint, bigint, bigint, bigint)

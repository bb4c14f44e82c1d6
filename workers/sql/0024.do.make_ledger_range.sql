-- Makes the ledger's table of one month (UTC). Workers may insert into the ledger and own nothing: with the rights of the owner this
-- is all they can have done to it. The search path is fixed, and temporary tables come last, so that a caller cannot put a table of
-- its own in the ledger's place.
CREATE FUNCTION make_ledger_range(year integer, month integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
  starts timestamp := make_timestamp(year, month, 1, 0, 0, 0);
BEGIN
  EXECUTE format(
    'CREATE TABLE IF NOT EXISTS %I PARTITION OF movements FOR VALUES FROM (%s) TO (%s)',
    to_char(starts, '"movements_"YYYY"_"MM'),
    (extract(epoch FROM starts) * 1000)::bigint,
    (extract(epoch FROM starts + interval '1 month') * 1000)::bigint
  );
END
$$

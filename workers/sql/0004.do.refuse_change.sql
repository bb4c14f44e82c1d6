CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on %: the ledger is never changed', TG_OP, TG_TABLE_NAME USING ERRCODE = 'HF010';
END
$$

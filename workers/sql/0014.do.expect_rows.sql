-- Fails the transaction when a statement did not meet every row it was about: a log that confirms what was never held.
CREATE FUNCTION expect_rows(expected bigint, met bigint, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF expected <> met THEN
    RAISE EXCEPTION 'the log changes % %, of which % are known', expected, what, met USING ERRCODE = 'HF003';
  END IF;
END
$$

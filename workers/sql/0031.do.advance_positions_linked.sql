-- First statement of a persist transaction over several partitions: all of them advance, or none, and each gets the link of the ledger's
-- chain that goes with it. Errors end the transaction, also when later statements are already on the wire, and name the partitions in
-- their detail: HF001 somebody else drains or recovers them; HF002 their position or fence is not what the batch was read at. Locks are only
-- tried, so that transactions never wait for each other's; that a partition's rows are changed by one transaction at a time is
-- what the locks see to.
CREATE FUNCTION advance_positions(
  partitions integer[], fences bigint[], old_epochs bigint[], old_seqs bigint[], new_epochs bigint[], new_seqs bigint[], new_ats bigint[],
  hashes bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  away integer[];
BEGIN
  SELECT array_agg(p) INTO away FROM unnest(partitions) AS p WHERE NOT pg_try_advisory_xact_lock(1212961604, p);
  IF away IS NOT NULL THEN
    RAISE EXCEPTION 'partitions % are being drained or recovered elsewhere', away
      USING ERRCODE = 'HF001', DETAIL = array_to_string(away, ',');
  END IF;
  WITH moved AS (
    UPDATE positions o
    SET epoch = greatest(o.epoch, n.new_epoch), log_epoch = n.new_epoch, seq = n.new_seq, at = n.new_at, updated_at = now()
    FROM unnest(partitions, fences, old_epochs, old_seqs, new_epochs, new_seqs, new_ats)
      AS n(partition, fence, old_epoch, old_seq, new_epoch, new_seq, new_at)
    WHERE o.partition = n.partition AND o.epoch = n.fence AND o.log_epoch = n.old_epoch AND o.seq = n.old_seq
    RETURNING o.partition
  )
  SELECT array_agg(p) INTO away FROM unnest(partitions) AS p WHERE p NOT IN (SELECT partition FROM moved);
  IF away IS NOT NULL THEN
    RAISE EXCEPTION 'partitions % have moved on', away USING ERRCODE = 'HF002', DETAIL = array_to_string(away, ',');
  END IF;
  INSERT INTO ledger_chain (partition, first_seq, last_seq, hash)
  SELECT n.partition, n.old_seq + 1, n.new_seq, n.hash
  FROM unnest(partitions, old_seqs, new_seqs, hashes) AS n(partition, old_seq, new_seq, hash);
END
$$

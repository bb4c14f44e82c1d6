-- First statement of every persist transaction. Errors end the transaction, also when later statements are already on the wire:
-- HF001 somebody else drains or recovers the partition; HF002 the position or the fence is not what the batch was read at.
CREATE FUNCTION advance_position(
  p integer, fence bigint, old_epoch bigint, old_seq bigint, new_epoch bigint, new_seq bigint, new_at bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(1212961604, p) THEN
    RAISE EXCEPTION 'partition % is being drained or recovered elsewhere', p USING ERRCODE = 'HF001';
  END IF;
  UPDATE positions
  SET epoch = greatest(epoch, new_epoch), log_epoch = new_epoch, seq = new_seq, at = new_at, updated_at = now()
  WHERE partition = p AND epoch = fence AND log_epoch = old_epoch AND seq = old_seq;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'partition % has moved on from %-% under fence %', p, old_epoch, old_seq, fence USING ERRCODE = 'HF002';
  END IF;
END
$$

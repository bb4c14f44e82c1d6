--- Undo a part of a claim that will not come about: the units go back and the record goes, as if it had never been.
---
--- Only a held part of exactly this attempt; anything else is left alone and answers `exists`.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key holds hold records
--- @items stock buyers
--- @each id id reservation id
--- @each attempt int 0, or the attempt of the claim it is a part of
--- @each actor text who causes it
--- @line item item an item of the reservation, in the order of its record
--- @status ok
--- @status exists
--- @status fenced
--- @status items_mismatch
--- @status invalid_argument
--- @event aborted
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
-- @include hold_ops
-- @include hold_moves

read_ops(holds_key)
local now = now_ms()

local function decide(op)
  local record = record_of(op)
  if op.attempt == 0 or not record or record[R_STATE] ~= HELD then
    add_row(STATUS.exists)
  elseif not lines_match(record, op.lines) then
    add_row(STATUS.items_mismatch)
  else
    move_hold(EVENT.aborted, op, record, 0)
    set_hold(op.id, false)
    add_row(STATUS.ok)
  end
end

for n = 1, OPS do
  if ops[n] then
    decide(ops[n])
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
store_moves(holds_key, now)
return finish(epoch, last, now)

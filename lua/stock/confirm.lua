--- Sell what is held. (S3, S9)
---
--- A reservation of its own (attempt 0) can be confirmed until its deadline, by this node's clock. A part of a claim
--- is confirmed because its claim is: the claim has looked at the deadline. Repeating answers `exists`.
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
--- @status ok deadline:ms state:int
--- @status exists deadline:ms state:int
--- @status fenced
--- @status items_mismatch
--- @status invalid_argument
--- @status reservation_not_found
--- @status reservation_released
--- @status hold_expired deadline:ms
--- @status reservation_returned
--- @event confirmed
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
  if not record then
    add_row(STATUS.reservation_not_found)
    return
  end
  local state, deadline = record[R_STATE], record[R_DEADLINE]
  if state == CONFIRMED then
    add_row(STATUS.exists, deadline, CONFIRMED)
  elseif not lines_match(record, op.lines) then
    add_row(STATUS.items_mismatch)
  elseif state == RELEASED then
    add_row(STATUS.reservation_released)
  elseif state == RETURNED then
    add_row(STATUS.reservation_returned)
  elseif state == EXPIRED or (op.attempt == 0 and now >= deadline) then
    add_row(STATUS.hold_expired, deadline)
  else
    move_hold(EVENT.confirmed, op, record, 1)
    resolve_hold(op.id, record, CONFIRMED, now)
    add_row(STATUS.ok, deadline, CONFIRMED)
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

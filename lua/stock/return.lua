--- Bring sold units back on sale. (S3, T5)
---
--- Each line names how many of its units have come back *altogether*, so that repeating changes nothing; a smaller
--- number than before is left alone. When everything has come back the reservation is returned.
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
--- @line total int units that have come back altogether
--- @status ok deadline:ms state:int
--- @status exists deadline:ms state:int
--- @status fenced
--- @status items_mismatch
--- @status invalid_argument
--- @status reservation_not_found
--- @status reservation_released
--- @status hold_expired deadline:ms
--- @status reservation_held
--- @status return_exceeds_sold line:int sold:int
--- @event returned
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply
-- @include hold_moves

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
local ops = {}
for n = 1, OPS do
  -- @bind each
  local lines, totals = {}, {}
  local valid = id and attempt and actor and LINES >= 1 and LINES <= LIMIT.max_lines
  for line = 1, LINES do
    -- @bind line
    valid = valid and item and total
    lines[line], totals[line] = item, total
  end
  if valid then
    ops[n] = { id = id, attempt = attempt, actor = actor, lines = lines, totals = totals }
  else
    ops[n] = false
  end
end

load_holds(holds_key, ARGS, id_at + 1, id_at + OPS)
local now = now_ms()

-- The first line that would bring back more than it sold.
local function exceeding_line(op, record)
  for line = 1, #op.lines do
    if op.totals[line] > record[R_LINES + (line - 1) * LINE_WIDTH + 1] then
      return line
    end
  end
  return nil
end

-- Moves what is new; answers whether anything was, and whether everything is back now.
local function bring_back(op, record)
  local moved, complete = false, true
  for line = 1, #op.lines do
    local index = op.lines[line]
    local at = R_LINES + (line - 1) * LINE_WIDTH
    local more = op.totals[line] - record[at + 2]
    if more > 0 then
      local item = load_item(index, KEYS[stock_base + index])
      moved = true
      record[at + 2] = op.totals[line]
      move_units(item, more, 0, -more)
      uncount(record, at, index, more)
      add_event(
        EVENT.returned, item.ref, op.id, more, op.actor, '', item,
        record[R_DEADLINE], record[R_FINGERPRINT], record[R_ATTEMPT]
      )
    end
    complete = complete and record[at + 2] == record[at + 1]
  end
  return moved, complete
end

local function decide(op)
  local record = hold_of(op.id)
  if not record or record[R_ATTEMPT] ~= op.attempt then
    add_row(STATUS.reservation_not_found)
    return
  end
  local state, deadline = record[R_STATE], record[R_DEADLINE]
  if not lines_match(record, op.lines) then
    add_row(STATUS.items_mismatch)
    return
  elseif state == RELEASED then
    add_row(STATUS.reservation_released)
    return
  elseif state == EXPIRED or (state == HELD and op.attempt == 0 and now >= deadline) then
    add_row(STATUS.hold_expired, deadline)
    return
  elseif state == HELD then
    add_row(STATUS.reservation_held)
    return
  end
  local exceeding = exceeding_line(op, record)
  if exceeding then
    add_row(STATUS.return_exceeds_sold, exceeding, record[R_LINES + (exceeding - 1) * LINE_WIDTH + 1])
    return
  end
  local moved, complete = bring_back(op, record)
  if moved then
    resolve_hold(op.id, record, complete and RETURNED or CONFIRMED, now)
  end
  add_row(moved and STATUS.ok or STATUS.exists, deadline, record[R_STATE])
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

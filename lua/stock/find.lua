--- Read the hold record and the claim record of reservations.
---
--- Records are answered as text, fields separated by `|` (no field can contain one), empty where there is none.
--- @flags no-writes
--- @key meta fence of the partition
--- @key holds hold records
--- @key claims claim records
--- @each id id reservation id
--- @status ok hold:text claim:text
--- @status fenced
--- @status invalid_argument
--- @status reservation_not_found
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

-- Lua alone would write numbers with 14 digits; every record that a script takes must come back exactly.
local function as_text(value)
  if not value then
    return ''
  end
  local record = cmsgpack.unpack(value)
  for n = 1, #record do
    if type(record[n]) == 'number' then
      record[n] = string.format('%.0f', record[n])
    end
  end
  return table.concat(record, '|')
end

for n = 1, OPS do
  -- @bind each
  if not id then
    add_row(STATUS.invalid_argument)
  else
    local hold = as_text(redis.call('HGET', holds_key, id))
    local claim = as_text(redis.call('HGET', claims_key, id))
    if hold == '' and claim == '' then
      add_row(STATUS.reservation_not_found)
    else
      add_row(STATUS.ok, hold, claim)
    end
  end
end

return finish(epoch, seq, now_ms())

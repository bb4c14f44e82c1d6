--- Take entries off the due index once the holds behind them have been looked at, and forget what is past its retention.
---
--- A hold that has ended is due again at the end of its retention, one that is held at its deadline; one that is overdue
--- but still held (its claim could not be asked) in a second. An entry that is gone or has moved meanwhile is left
--- alone. Nothing here moves units, so nothing is logged.
--- @flags allow-oom
--- @key meta fence of the partition
--- @key due when holds must be looked at
--- @key holds hold records
--- @key claims claim records
--- @key ids answers given before
--- @each member text an entry of the due index
--- @each later int 0; or ms after which to look at it again, because what it asks for could not be done
--- @status ok forgotten:int
--- @status fenced
--- @status invalid_argument
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply
-- @include holds
-- @include due

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
local now = now_ms()
local PENDING = 6

local function retention_end(state, resolved)
  local long = state == CONFIRMED or state == RETURNED
  return resolved + (long and LIMIT.return_window_seconds or LIMIT.retention_seconds) * 1000
end

-- 1 when the record may go; else it is put back on the index where that is needed.
local function settle_record(record, name)
  local state = record[R_STATE]
  if state == HELD or state == PENDING then
    local deadline = record[R_DEADLINE]
    add_due(deadline > now and deadline or now + 1000, name)
    return 0
  end
  local gone = retention_end(state, record[R_RESOLVED])
  if gone <= now then
    return 1
  end
  add_due(gone, name)
  return 0
end

local function settle_in(records, id, name)
  local value = redis.call('HGET', records, id)
  if value and settle_record(cmsgpack.unpack(value), name) == 1 then
    return redis.call('HDEL', records, id)
  end
  return 0
end

local function settle(member)
  local forgotten = 0
  for name in string.gmatch(member, '[^ ]+') do
    local kind = string.sub(name, 1, 2)
    if kind == 'i:' then
      forgotten = forgotten + redis.call('HDEL', ids_key, string.sub(name, 3))
    elseif kind == 'c:' then
      forgotten = forgotten + settle_in(claims_key, string.sub(name, 3), name)
    else
      forgotten = forgotten + settle_in(holds_key, name, name)
    end
  end
  return forgotten
end

local settled, taken = {}, {}
for n = 1, OPS do
  -- @bind each
  if not member or not later then
    add_row(STATUS.invalid_argument)
  else
    local score = redis.call('ZSCORE', due_key, member)
    local forgotten = 0
    if score and tonumber(score) <= now and not taken[member] then
      taken[member] = true
      settled[#settled + 1] = member
      if later > 0 then
        add_due(now + later, member)
      else
        forgotten = settle(member)
      end
    end
    add_row(STATUS.ok, forgotten)
  end
end

if #settled > 0 then
  redis.call('ZREM', due_key, unpack(settled))
end
store_due(due_key)
return finish(epoch, seq, now)

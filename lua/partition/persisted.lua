--- Note how far Postgres has the log, tell those who wait for it, and trim the log up to there.
---
--- Positions only grow; an older one changes nothing.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key persisted channel
--- @arg upto_epoch int epoch of the last event that Postgres has committed
--- @arg upto_seq int its number
--- @status ok trimmed:int
--- @status exists
--- @status fenced
--- @status invalid_argument
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

-- What lies ahead of the log cannot have come from it.
if not upto_epoch or not upto_seq or upto_epoch > epoch or upto_seq > seq then
  return { STATUS.invalid_argument }
end

local before_epoch, before_seq = string.match(redis.call('HGET', meta_key, 'persisted') or '0-0', '^(%d+)-(%d+)$')
before_epoch, before_seq = tonumber(before_epoch), tonumber(before_seq)
if upto_epoch < before_epoch or (upto_epoch == before_epoch and upto_seq <= before_seq) then
  add_row(STATUS.exists)
  return finish(epoch, seq, now_ms())
end

local position = string.format('%.0f-%.0f', upto_epoch, upto_seq)
redis.call('HSET', meta_key, 'persisted', position)
local trimmed = redis.call('XTRIM', log_key, 'MINID', string.format('%.0f-%.0f', upto_epoch, upto_seq + 1))
redis.call('SPUBLISH', persisted_key, position)
add_row(STATUS.ok, trimmed)
return finish(epoch, seq, now_ms())

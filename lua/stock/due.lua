--- List entries of the due index whose time has come, oldest first, one entry a line.
--- @flags no-writes
--- @key meta fence of the partition
--- @key due when something must be looked at
--- @arg page int most entries to list
--- @status ok members:text
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
local now = now_ms()
if page and page >= 1 and page <= LIMIT.due_page then
  local members = redis.call('ZRANGE', due_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, page)
  add_row(STATUS.ok, table.concat(members, '\n'))
else
  add_row(STATUS.invalid_argument)
end
return finish(epoch, seq, now)

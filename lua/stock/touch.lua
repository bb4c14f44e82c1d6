--- Write the partition's last number once more, so that a WAIT behind this call covers everything written before it.
---
--- An answer `exists` writes nothing: without this, WAIT would vouch for nothing.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @each id id the id that was asked for
--- @status ok
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
for n = 1, OPS do
  -- @bind each
  add_row(id and STATUS.ok or STATUS.invalid_argument)
end
redis.call('HSET', meta_key, 'seq', seq)
return finish(epoch, seq, now_ms())

--- Take a closed partition for one recovery: what another one still has under way to Redis is refused from here on.
---
--- Only where it stands as recovery saw it. The token stands in `meta` until the partition opens; `restore` and `open` ask for it,
--- and no lock elsewhere can stand in for that: what was sent before a lock was lost may arrive after the next one has it.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @arg node id id of the node that recovery means
--- @arg from_epoch int epoch that recovery saw
--- @arg from_seq int number of the last event that recovery saw
--- @arg from_recovery idopt token that recovery saw, or empty
--- @arg recovery id token of this recovery, used by no other
--- @status ok
--- @status epoch_conflict
--- @status invalid_argument
-- @bind keys
-- @include parse
-- @include clock
-- @include reply

-- @bind args

if not (node and from_epoch and from_seq and from_recovery and recovery) then
  return { STATUS.invalid_argument }
end

local fields = redis.call('HMGET', meta_key, 'owner', 'epoch', 'seq', 'recovery')
local epoch, seq = tonumber(fields[2] or 0), tonumber(fields[3] or 0)
if redis.call('CLUSTER', 'MYID') ~= node or (fields[1] and fields[1] ~= '')
  or epoch ~= from_epoch or seq ~= from_seq or (fields[4] or '') ~= from_recovery then
  return { STATUS.epoch_conflict }
end
redis.call('HSET', meta_key, 'recovery', recovery)
add_row(STATUS.ok)
return finish(epoch, seq, now_ms())

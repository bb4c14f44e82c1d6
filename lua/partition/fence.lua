--- Close a partition unless it was opened in this life of its node, and tell where it stands. Recovery's first step.
---
--- `run` names the life of the node: one run of its process as a master. A partition that was opened in it has lost nothing
--- since and is left alone, so two recoveries do not disturb each other. Any other owner is taken out before scripts are loaded.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @arg node id id of the node that recovery means
--- @arg run id life of the node that recovery means
--- @status ok open:int persistence:text recovery:text
--- @status epoch_conflict
--- @status invalid_argument
-- @bind keys
-- @include parse
-- @include clock
-- @include reply

-- @bind args

if not node or not run then
  return { STATUS.invalid_argument }
end
if redis.call('CLUSTER', 'MYID') ~= node then
  return { STATUS.epoch_conflict }
end

local fields = redis.call('HMGET', meta_key, 'owner', 'run', 'epoch', 'seq', 'persistence', 'recovery')
local open = fields[1] == node and fields[2] == run
if not open and fields[1] and fields[1] ~= '' then
  redis.call('HSET', meta_key, 'owner', '')
end
add_row(STATUS.ok, open and 1 or 0, fields[5] or '', fields[6] or '')
return finish(tonumber(fields[3] or 0), tonumber(fields[4] or 0), now_ms())

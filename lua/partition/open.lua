--- Open a partition under a new epoch. Recovery's last step.
---
--- Opens only what stands exactly where recovery looked (`from_epoch`, `from_seq`) on the node and in the life it looked at, and
--- what no other recovery has taken since (`recovery`); of two recoveries one opens and the other is told `exists`. Numbers go on
--- from `seq`.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @arg node id id of the node that recovery means
--- @arg run id life of the node that recovery means
--- @arg from_epoch int epoch that recovery saw
--- @arg from_seq int number of the last event that recovery saw
--- @arg recovery idopt token of partition/take, or what recovery saw where it took nothing
--- @arg epoch int the new epoch, higher than any before
--- @arg seq int number of the last event there is, in Redis or written back
--- @arg persistence idopt who owns recovery from now on (`postgres`), or empty to leave it
--- @arg persisted idopt `epoch-seq` that Postgres has, or empty to leave it
--- @status ok
--- @status exists
--- @status epoch_conflict
--- @status invalid_argument
--- @event epoch_opened
-- @bind keys
-- @include parse
-- @include clock
-- @include reply
-- @include log

-- @bind args

if not (node and run and from_epoch and from_seq and recovery and epoch and seq and persistence and persisted) then
  return { STATUS.invalid_argument }
end
if redis.call('CLUSTER', 'MYID') ~= node then
  return { STATUS.epoch_conflict }
end

local now = now_ms()
local fields = redis.call('HMGET', meta_key, 'owner', 'run', 'epoch', 'seq', 'openings', 'recovery')
local present_epoch, present_seq = tonumber(fields[3] or 0), tonumber(fields[4] or 0)
if fields[1] == node and fields[2] == run then
  add_row(STATUS.exists)
  return finish(present_epoch, present_seq, now)
end
if present_epoch ~= from_epoch or present_seq ~= from_seq or (fields[6] or '') ~= recovery then
  return { STATUS.epoch_conflict }
end

-- The stream refuses ids that do not grow; that must not be found out after the first write.
local entries = redis.call('XREVRANGE', log_key, '+', '-', 'COUNT', 1)
local last_epoch = entries[1] and tonumber(string.match(entries[1][1], '^(%d+)-')) or 0
if epoch <= present_epoch or epoch <= last_epoch then
  return { STATUS.epoch_conflict }
end

-- Where epochs began. Who answered under an earlier one finds here what of that is gone: all beyond the lowest of the later
-- beginnings. So one that lies at or beyond the new one says nothing any more.
local openings = {}
for opened, after in string.gmatch(fields[5] or '', '(%d+):(%d+)') do
  if tonumber(after) < seq then
    openings[#openings + 1] = opened .. ':' .. after
  end
end
openings[#openings + 1] = string.format('%.0f:%.0f', epoch, seq)
local first = math.max(1, #openings - LIMIT.openings + 1)
local remembered = table.concat(openings, ' ', first)

redis.call('HSET', meta_key, 'epoch', epoch, 'seq', seq, 'owner', node, 'run', run, 'openings', remembered)
redis.call('HDEL', meta_key, 'recovery')
if persistence ~= '' then
  redis.call('HSET', meta_key, 'persistence', persistence)
end
if persisted ~= '' then
  redis.call('HSET', meta_key, 'persisted', persisted)
end
add_event(EVENT.epoch_opened, '', '', 0, '', '', NO_LEVEL, 0, 0, 0)
add_row(STATUS.ok)
return finish(epoch, append_log(meta_key, log_key, deltas_key, epoch, seq, now), now)

-- A partition may be written only on the node that recovery opened it on: a promoted replica carries its master's
-- `owner` and is not it. Asked before anything else, by every script that reads or writes stock.

local function open_epoch(meta)
  local fields = redis.call('HMGET', meta, 'owner', 'epoch', 'seq')
  if fields[1] ~= redis.call('CLUSTER', 'MYID') then
    return nil
  end
  local seq = tonumber(fields[3])
  return seq and tonumber(fields[2]), seq
end

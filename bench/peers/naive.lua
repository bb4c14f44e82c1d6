#!lua
-- The naive design: one script call a request, one item a call. It does the work that a hold needs - is the id new, is there
-- enough, take the units, record the hold, log the event, remember the deadline - and nothing of what Holdfast does beside it
-- (fence, fingerprints, buyer limits, sale windows, gapless numbers).
-- KEYS: stock hash, holds hash, log stream, due set. ARGV: quantity, buyer, hold seconds.
-- The id is made here: redis-benchmark sends the same arguments with every request.
local stock, holds, log, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local quantity, buyer, seconds = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local fields = redis.call('HMGET', stock, 'a', 'r', 'v')
local available, reserved, version = tonumber(fields[1]), tonumber(fields[2]), tonumber(fields[3])
local id = 'naive-' .. string.format('%014.0f', version + 1)
if redis.call('HEXISTS', holds, id) == 1 then
  return { 1, available }
end
if available < quantity then
  return { 2, available }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = now + seconds * 1000
available, reserved, version = available - quantity, reserved + quantity, version + 1
redis.call('HSET', stock, 'a', available, 'r', reserved, 'v', version, 'u', now)
redis.call('HSET', holds, id, cmsgpack.pack({ 1, deadline, buyer, quantity }))
redis.call('XADD', log, '*', 'e', cmsgpack.pack({ 'held', id, buyer, quantity, available, reserved, version, deadline }))
redis.call('ZADD', due, deadline, id)
return { 0, deadline }

--- Put another idempotency record in the place of one, or remove it, if it is still the one that is meant.
---
--- Whoever carries a request out holds a lease. When that is over another may take the request over, and what the first one then
--- stores or removes must not be the other's: every holder has a token, and the record begins with it. The record lies beside the
--- partitions. There is no fence: a record that a failover lost is made anew, and the change is known by its id.
--- @key idem the record
--- @arg token id what the record has to begin with
--- @arg keep int milliseconds the new record is kept; 0: the record is removed
--- @arg record record the new record
--- @status ok
--- @status superseded
--- @status invalid_argument
-- @bind keys
-- @include parse
-- @include reply
-- @bind args

if not token or not keep or not record then
  return { STATUS.invalid_argument }
end

local there = redis.call('GET', idem_key)
if not there or string.sub(there, 1, #token) ~= token then
  add_row(STATUS.superseded)
elseif keep == 0 then
  redis.call('DEL', idem_key)
  add_row(STATUS.ok)
else
  redis.call('SET', idem_key, record, 'PX', keep)
  add_row(STATUS.ok)
end
return finish(0, 0, 0)

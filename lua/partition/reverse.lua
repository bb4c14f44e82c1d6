--- Record that something callers had been told of is gone. Counts and records stay as they are.
---
--- An answer that was not yet safe can be rolled back by a failover or a restart. Whoever gave it says so here, under the epoch
--- that came after; the ledger then tells what is missing. Saying it twice is harmless: readers know it by what it names.
--- What had been answered `exists` may have been there all along: then it is looked for, and nothing is written.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key holds hold records
--- @key claims claim records
--- @key ids answers by id
--- @each id idopt id that the caller used
--- @each ref text item it concerned, or empty
--- @each quantity sint units
--- @each lost_epoch int epoch of the answer
--- @each lost_seq int last event number of the answer
--- @each look int 0: it is gone; 1, 2, 3: only if no hold, claim or id record shows it
--- @each states int states of the record that show it, as bits
--- @each actor text who had caused it
--- @each detail text what the ledger says of it, as JSON
--- @status ok
--- @status exists
--- @status fenced
--- @status invalid_argument
--- @event reversed
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply
-- @include log

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
local now = now_ms()

local HOLD, CLAIM, ID_RECORD = 1, 2, 3

local function is_there(look, states, id, ref)
  if look == ID_RECORD then
    return redis.call('HEXISTS', ids_key, id .. ':' .. ref) == 1
  end
  local value = redis.call('HGET', look == CLAIM and claims_key or holds_key, id)
  return value and bit.band(states, bit.lshift(1, cmsgpack.unpack(value)[1])) ~= 0
end

for n = 1, OPS do
  -- @bind each
  -- What was answered under the present epoch is not gone.
  if not (id and ref and quantity and look and states and actor and detail and lost_seq)
    or look > ID_RECORD or not lost_epoch or lost_epoch >= epoch then
    add_row(STATUS.invalid_argument)
  elseif look >= HOLD and is_there(look, states, id, ref) then
    add_row(STATUS.exists)
  else
    add_event(EVENT.reversed, '', id, quantity, actor, detail, NO_LEVEL, 0, 0, 0)
    add_row(STATUS.ok)
  end
end

return finish(epoch, append_log(meta_key, log_key, deltas_key, epoch, seq, now), now)

--- End a reservation over several partitions because its deadline has passed; its holds follow. (S9)
---
--- A claim that was never completed is forgotten; one that is alive or has ended is left alone.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key claims claim records
--- @each id id reservation id
--- @status ok state:int
--- @status exists state:int
--- @status fenced
--- @status invalid_argument
--- @status reservation_not_found
--- @event claim_aborted
--- @event claim_expired
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply
-- @include log
-- @include claims

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
local now = now_ms()

local function decide(id)
  local record = load_claim(claims_key, id)
  if not record then
    add_row(STATUS.reservation_not_found)
    return
  end
  local before, state = record[C_STATE], claim_state(record, now)
  if state ~= EXPIRED or before == EXPIRED then
    add_row(STATUS.exists, state)
    return
  end
  local kind = EVENT.claim_expired
  if before == PENDING then
    kind = EVENT.claim_aborted
    set_claim(id, false)
  else
    resolve_claim(id, record, EXPIRED, now)
  end
  add_event(kind, '', id, 0, record[C_BUYER], '', NO_LEVEL, record[C_DEADLINE], record[C_FINGERPRINT], record[C_ATTEMPT])
  add_row(STATUS.ok, EXPIRED)
end

for n = 1, OPS do
  -- @bind each
  if id then
    decide(id)
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
store_claims(claims_key)
return finish(epoch, last, now)

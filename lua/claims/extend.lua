--- Move the deadline of a reservation over several partitions; its holds follow. (S3, T3)
---
--- It gets `hold` seconds from now, and never fewer than it has: where nothing moves, `exists` says so.
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when claims must be looked at
--- @key claims claim records
--- @each id id reservation id
--- @each hold int seconds from now
--- @each actor text who causes it
--- @status ok deadline:ms state:int
--- @status exists deadline:ms state:int
--- @status fenced
--- @status invalid_argument
--- @status reservation_not_found
--- @status reservation_released
--- @status hold_expired deadline:ms
--- @status reservation_confirmed
--- @status reservation_returned
--- @event claim_extended
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

local REFUSALS = {
  [CONFIRMED] = STATUS.reservation_confirmed,
  [RELEASED] = STATUS.reservation_released,
  [RETURNED] = STATUS.reservation_returned,
}

local function decide(id, hold, actor)
  local record = load_claim(claims_key, id)
  if not record or record[C_STATE] == PENDING then
    add_row(STATUS.reservation_not_found)
    return
  end
  local state, deadline = claim_state(record, now), record[C_DEADLINE]
  if REFUSALS[state] then
    add_row(REFUSALS[state])
  elseif state == EXPIRED then
    add_row(STATUS.hold_expired, deadline)
  elseif now + hold * 1000 > deadline then
    deadline = now + hold * 1000
    record[C_DEADLINE] = deadline
    set_claim(id, record)
    due_claim(record, id)
    add_event(EVENT.claim_extended, '', id, 0, actor, '', NO_LEVEL, deadline, record[C_FINGERPRINT], record[C_ATTEMPT])
    add_row(STATUS.ok, deadline, HELD)
  else
    add_row(STATUS.exists, deadline, HELD)
  end
end

for n = 1, OPS do
  -- @bind each
  if id and actor and hold and hold >= 1 and hold <= LIMIT.max_hold_seconds then
    decide(id, hold, actor)
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
store_claims(claims_key)
store_due(due_key)
return finish(epoch, last, now)

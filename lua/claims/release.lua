--- Decide that a reservation over several partitions goes back on sale; its holds follow. (S3)
---
--- One past its deadline is expired instead. Repeating answers `exists` with the state it ended in.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when claims must be looked at
--- @key claims claim records
--- @each id id reservation id
--- @each actor text who causes it
--- @status ok deadline:ms state:int
--- @status exists deadline:ms state:int
--- @status fenced
--- @status invalid_argument
--- @status reservation_not_found
--- @status reservation_confirmed
--- @status reservation_returned
--- @event claim_released
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

local REFUSALS = { [CONFIRMED] = STATUS.reservation_confirmed, [RETURNED] = STATUS.reservation_returned }

local function decide(id, actor)
  local record = load_claim(claims_key, id)
  if not record or record[C_STATE] == PENDING then
    add_row(STATUS.reservation_not_found)
    return
  end
  local before, state, deadline = record[C_STATE], claim_state(record, now), record[C_DEADLINE]
  if REFUSALS[state] then
    add_row(REFUSALS[state])
  elseif before == HELD then
    local ended = state == EXPIRED and EXPIRED or RELEASED
    resolve_claim(id, record, ended, now)
    follow_up(id, now)
    add_event(
      ended == EXPIRED and EVENT.claim_expired or EVENT.claim_released,
      '', id, 0, actor, '', NO_LEVEL, deadline, record[C_FINGERPRINT], record[C_ATTEMPT]
    )
    add_row(ended == EXPIRED and STATUS.exists or STATUS.ok, deadline, ended)
  else
    add_row(STATUS.exists, deadline, state)
  end
end

for n = 1, OPS do
  -- @bind each
  if id and actor then
    decide(id, actor)
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
store_claims(claims_key)
store_due(due_key)
return finish(epoch, last, now)

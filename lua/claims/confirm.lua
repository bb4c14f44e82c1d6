--- Decide that a reservation over several partitions is sold; its holds follow. (S3, S9)
---
--- This is the commit point: before it nothing is sold, after it everything will be. A part that is sold proves that
--- it was decided before and lost since: then the deadline does not count.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when claims must be looked at
--- @key claims claim records
--- @each id id reservation id
--- @each actor text who causes it
--- @each sold int 1 when a part is sold already, else 0
--- @status ok deadline:ms state:int
--- @status exists deadline:ms state:int
--- @status fenced
--- @status invalid_argument
--- @status reservation_not_found
--- @status reservation_released
--- @status hold_expired deadline:ms
--- @status reservation_returned
--- @event claim_confirmed
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

local REFUSALS = { [RELEASED] = STATUS.reservation_released, [RETURNED] = STATUS.reservation_returned }

local function decide(id, actor, sold)
  local record = load_claim(claims_key, id)
  if not record or record[C_STATE] == PENDING then
    add_row(STATUS.reservation_not_found)
    return
  end
  local state, deadline = claim_state(record, now), record[C_DEADLINE]
  if state == CONFIRMED then
    add_row(STATUS.exists, deadline, CONFIRMED)
  elseif REFUSALS[state] then
    add_row(REFUSALS[state])
  elseif state == EXPIRED and not (sold == 1 and record[C_STATE] == HELD) then
    add_row(STATUS.hold_expired, deadline)
  else
    resolve_claim(id, record, CONFIRMED, now)
    follow_up(id, now)
    add_event(
      EVENT.claim_confirmed, '', id, 0, actor, '', NO_LEVEL, deadline, record[C_FINGERPRINT], record[C_ATTEMPT]
    )
    add_row(STATUS.ok, deadline, CONFIRMED)
  end
end

for n = 1, OPS do
  -- @bind each
  if id and actor and sold and sold <= 1 then
    decide(id, actor, sold)
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
store_claims(claims_key)
store_due(due_key)
return finish(epoch, last, now)

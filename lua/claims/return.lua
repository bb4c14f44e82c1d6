--- Decide that everything of a reservation over several partitions comes back; its holds follow. (S3, T5)
---
--- Should whoever decided so die, the sweep looks at the claim soon and tells them. Repeating answers `exists`.
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
--- @event claim_returned
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

local function decide(id, actor)
  local record = load_claim(claims_key, id)
  if not record or (record[C_STATE] ~= CONFIRMED and record[C_STATE] ~= RETURNED) then
    add_row(STATUS.reservation_not_found)
  elseif record[C_STATE] == RETURNED then
    add_row(STATUS.exists, record[C_DEADLINE], RETURNED)
  else
    resolve_claim(id, record, RETURNED, now)
    follow_up(id, now)
    add_event(
      EVENT.claim_returned, '', id, 0, actor, '', NO_LEVEL,
      record[C_DEADLINE], record[C_FINGERPRINT], record[C_ATTEMPT]
    )
    add_row(STATUS.ok, record[C_DEADLINE], RETURNED)
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

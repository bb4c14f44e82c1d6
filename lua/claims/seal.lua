--- Complete a claim: every line is held. From here on the reservation exists. (S5)
---
--- Only the attempt that the claim stands at may seal it, and only while it is alive.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when claims must be looked at
--- @key claims claim records
--- @each id id reservation id
--- @each attempt int attempt that held the lines
--- @each deadline int new deadline in ms: the earliest the lines allow
--- @status ok deadline:ms state:int
--- @status exists deadline:ms state:int
--- @status fenced
--- @status superseded
--- @status invalid_argument
--- @event claim_sealed
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

local function decide(id, attempt, deadline)
  local record = load_claim(claims_key, id)
  if not record or record[C_ATTEMPT] ~= attempt or (record[C_STATE] == PENDING and now >= record[C_DEADLINE]) then
    add_row(STATUS.superseded)
  elseif record[C_STATE] == PENDING then
    record[C_STATE] = HELD
    record[C_DEADLINE] = deadline
    set_claim(id, record)
    due_claim(record, id)
    add_event(EVENT.claim_sealed, '', id, 0, record[C_BUYER], '', NO_LEVEL, deadline, record[C_FINGERPRINT], attempt)
    add_row(STATUS.ok, deadline, HELD)
  else
    add_row(STATUS.exists, record[C_DEADLINE], claim_state(record, now))
  end
end

for n = 1, OPS do
  -- @bind each
  if id and attempt and deadline then
    decide(id, attempt, deadline)
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
store_claims(claims_key)
store_due(due_key)
return finish(epoch, last, now)

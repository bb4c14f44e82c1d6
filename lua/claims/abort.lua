--- Give up a claim that is not complete: it is forgotten, as if it had never been.
---
--- Only a pending claim of exactly this attempt; anything else is left alone and answers `exists`.
--- @flags allow-oom
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key claims claim records
--- @each id id reservation id
--- @each attempt int attempt that gives up
--- @status ok
--- @status exists
--- @status fenced
--- @status invalid_argument
--- @event claim_aborted
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

local function decide(id, attempt)
  local record = load_claim(claims_key, id)
  if not record or record[C_ATTEMPT] ~= attempt or record[C_STATE] ~= PENDING then
    add_row(STATUS.exists)
    return
  end
  set_claim(id, false)
  add_event(EVENT.claim_aborted, '', id, 0, record[C_BUYER], '', NO_LEVEL, 0, record[C_FINGERPRINT], attempt)
  add_row(STATUS.ok)
end

for n = 1, OPS do
  -- @bind each
  if id and attempt then
    decide(id, attempt)
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
store_claims(claims_key)
return finish(epoch, last, now)

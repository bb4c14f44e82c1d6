--- Move the deadline of holds. (S3, T3)
---
--- A reservation of its own gets `hold` seconds from now, and never fewer than it has. A part of a claim is due again
--- at `until_ms`, which its claim has set. A hold past its deadline is lost. Where nothing moves, `exists` says so.
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when holds must be looked at
--- @key holds hold records
--- @each id id reservation id
--- @each attempt int 0, or the attempt of the claim it is a part of
--- @each hold int seconds from now, for attempt 0
--- @each until_ms int new deadline in ms, for a part of a claim
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
--- @event extended
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply
-- @include log
-- @include holds
-- @include due

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
local ops = {}
for n = 1, OPS do
  -- @bind each
  if
    id and attempt and hold and until_ms and actor
    and (attempt > 0 or (hold >= 1 and hold <= LIMIT.max_hold_seconds))
  then
    ops[n] = { id = id, attempt = attempt, hold = hold, until_ms = until_ms, actor = actor }
  else
    ops[n] = false
  end
end

load_holds(holds_key, ARGS, id_at + 1, id_at + OPS)
local now = now_ms()

local REFUSALS = {
  [CONFIRMED] = STATUS.reservation_confirmed,
  [RELEASED] = STATUS.reservation_released,
  [RETURNED] = STATUS.reservation_returned,
}

local function decide(op)
  local record = hold_of(op.id)
  if not record or record[R_ATTEMPT] ~= op.attempt then
    add_row(STATUS.reservation_not_found)
    return
  end
  local state, deadline = record[R_STATE], record[R_DEADLINE]
  if REFUSALS[state] then
    add_row(REFUSALS[state])
  elseif state == EXPIRED or (op.attempt == 0 and now >= deadline) then
    add_row(STATUS.hold_expired, deadline)
  else
    local wanted = op.attempt == 0 and now + op.hold * 1000 or op.until_ms
    if wanted > deadline then
      deadline = wanted
      record[R_DEADLINE] = deadline
      set_hold(op.id, record)
      add_due(deadline, op.id)
      add_event(EVENT.extended, '', op.id, 0, op.actor, '', NO_LEVEL, deadline, record[R_FINGERPRINT], op.attempt)
      add_row(STATUS.ok, deadline, HELD)
    else
      add_row(STATUS.exists, deadline, HELD)
    end
  end
end

for n = 1, OPS do
  if ops[n] then
    decide(ops[n])
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
store_holds(holds_key)
store_due(due_key)
return finish(epoch, last, now)

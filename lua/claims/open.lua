--- Begin a reservation whose lines lie in several partitions, at the home of its id. (S5)
---
--- The claim is pending until every line is held. A pending claim of the same content may be taken over under a new
--- attempt once it is old enough for its coordinator to be gone; a younger one answers `in_flight`.
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when claims must be looked at
--- @key holds hold records, so that an id is not used twice
--- @key claims claim records
--- @each id id reservation id
--- @each fingerprint int hash of the reservation's content
--- @each buyer idopt buyer, or empty
--- @line ref text location:sku
--- @line quantity int units
--- @status ok attempt:int deadline:ms state:int
--- @status exists attempt:int deadline:ms state:int
--- @status fenced
--- @status in_flight
--- @status invalid_argument
--- @status id_conflict
--- @event claim_opened
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

local function decide(op)
  local record = load_claim(claims_key, op.id)
  local attempt = now
  if record then
    if record[C_FINGERPRINT] ~= op.fingerprint then
      add_row(STATUS.id_conflict)
      return
    elseif record[C_STATE] ~= PENDING then
      add_row(STATUS.exists, record[C_ATTEMPT], record[C_DEADLINE], claim_state(record, now))
      return
    elseif now < record[C_OPENED] + LIMIT.takeover_ms then
      add_row(STATUS.in_flight)
      return
    end
    attempt = math.max(now, record[C_ATTEMPT] + 1)
  elseif op.lone then
    add_row(STATUS.id_conflict)
    return
  end
  local deadline = now + LIMIT.claim_seconds * 1000
  local claim = { PENDING, deadline, op.fingerprint, attempt, op.buyer, 0, now }
  for at = 1, #op.lines do
    claim[#claim + 1] = op.lines[at]
  end
  set_claim(op.id, claim)
  due_claim(claim, op.id)
  add_event(
    EVENT.claim_opened, '', op.id, 0, op.buyer, cjson.encode(op.lines), NO_LEVEL, deadline, op.fingerprint, attempt
  )
  add_row(STATUS.ok, attempt, deadline, PENDING)
end

for n = 1, OPS do
  -- @bind each
  local lines = {}
  local valid = id and fingerprint and buyer and LINES >= 1 and LINES <= LIMIT.max_lines
  for _ = 1, LINES do
    -- @bind line
    valid = valid and ref and #ref <= 257 and string.find(ref, '^[%w._~-]+:[%w._~-]+$') and quantity
      and quantity >= 1 and quantity <= LIMIT.max_quantity
    lines[#lines + 1], lines[#lines + 2] = ref, quantity
  end
  if valid then
    -- A hold of its own under this id (attempt 0) is another reservation.
    local hold = redis.call('HGET', holds_key, id)
    local lone = hold and cmsgpack.unpack(hold)[4] == 0
    decide({ id = id, fingerprint = fingerprint, buyer = buyer, lines = lines, lone = lone })
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
store_claims(claims_key)
store_due(due_key)
return finish(epoch, last, now)

-- @include due
-- Claim records: [state, deadline, fingerprint, attempt, buyer, resolvedAt, openedAt, (ref, quantity)…]
-- A claim is the decision over a reservation whose holds lie in several partitions (docs/protocol.md).

local HELD, CONFIRMED, RELEASED, EXPIRED, RETURNED, PENDING = 1, 2, 3, 4, 5, 6
local C_STATE, C_DEADLINE, C_FINGERPRINT, C_ATTEMPT, C_BUYER, C_RESOLVED, C_OPENED = 1, 2, 3, 4, 5, 6, 7

local claim_records, claim_changed = {}, {}

local function load_claim(claims, id)
  local record = claim_records[id]
  if record == nil then
    local value = redis.call('HGET', claims, id)
    record = value and cmsgpack.unpack(value) or false
    claim_records[id] = record
  end
  return record
end

local function set_claim(id, record)
  claim_records[id] = record
  claim_changed[id] = true
end

-- The claim's state as of now: one past its deadline is expired, swept or not.
local function claim_state(record, now)
  local state = record[C_STATE]
  if (state == HELD or state == PENDING) and now >= record[C_DEADLINE] then
    return EXPIRED
  end
  return state
end

local function due_claim(record, id)
  add_due(record[C_DEADLINE], 'c:' .. id)
end

-- The holds are told by whoever decided; should that process die, the sweep looks at the claim soon and tells them.
local function follow_up(id, now)
  add_due(now + LIMIT.claim_seconds * 1000, 'c:' .. id)
end

local function resolve_claim(id, record, state, now)
  record[C_STATE] = state
  record[C_RESOLVED] = now
  set_claim(id, record)
end

local function store_claims(claims)
  for id in pairs(claim_changed) do
    if claim_records[id] then
      redis.call('HSET', claims, id, cmsgpack.pack(claim_records[id]))
    else
      redis.call('HDEL', claims, id)
    end
  end
end

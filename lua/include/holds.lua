-- Hold records: [state, deadline, fingerprint, attempt, buyer, resolvedAt, (ref, quantity, returned, counted)…]
-- Read by field, kept by id while the call decides, written together. A record that must go is false.

local HELD, CONFIRMED, RELEASED, EXPIRED, RETURNED = 1, 2, 3, 4, 5
local R_STATE, R_DEADLINE, R_FINGERPRINT, R_ATTEMPT, R_BUYER, R_RESOLVED, R_LINES = 1, 2, 3, 4, 5, 6, 7
local LINE_WIDTH = 4

local hold_records, hold_changed = {}, {}

-- ids: list without gaps, at most LIMIT.max_ops.
local function load_holds(holds, ids)
  if #ids == 0 then
    return
  end
  local values = redis.call('HMGET', holds, unpack(ids))
  for n = 1, #ids do
    local value = values[n]
    hold_records[ids[n]] = value and cmsgpack.unpack(value) or false
  end
end

local function set_hold(id, record)
  hold_records[id] = record
  hold_changed[id] = true
end

local function store_holds(holds)
  local fields, gone = {}, {}
  for id in pairs(hold_changed) do
    local record = hold_records[id]
    if record then
      fields[#fields + 1] = id
      fields[#fields + 1] = cmsgpack.pack(record)
    else
      gone[#gone + 1] = id
    end
  end
  if #fields > 0 then
    redis.call('HSET', holds, unpack(fields))
  end
  if #gone > 0 then
    redis.call('HDEL', holds, unpack(gone))
  end
end

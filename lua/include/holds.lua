-- @include pack
-- Hold records: [state, deadline, fingerprint, attempt, buyer, resolvedAt, (ref, quantity, returned, counted)…]
-- Read by field, kept by id while the call decides, written together. A record that must go is false.

local HELD, CONFIRMED, RELEASED, EXPIRED, RETURNED = 1, 2, 3, 4, 5
local R_STATE, R_DEADLINE, R_FINGERPRINT, R_ATTEMPT, R_BUYER, R_RESOLVED, R_LINES = 1, 2, 3, 4, 5, 6, 7
local LINE_WIDTH = 4

-- By id: a record, its bytes while nobody has looked at them, or false.
local hold_records, hold_changed = {}, {}
local changed_holds, changed_count = {}, 0

-- Reads what is kept under the arguments `from` to `till`: the column of ids, valid or not.
local function load_holds(holds, ids, from, till)
  local values = redis.call('HMGET', holds, unpack(ids, from, till))
  for n = 1, #values do
    if values[n] then
      hold_records[ids[from + n - 1]] = values[n]
    end
  end
end

local function hold_of(id)
  local record = hold_records[id]
  if record and type(record) == 'string' then
    record = cmsgpack.unpack(record)
    hold_records[id] = record
  end
  return record
end

-- A record that is new and does not change any more in this call.
local new_holds, new_count = {}, 0

local function add_hold(id, bytes)
  hold_records[id] = bytes
  new_holds[new_count + 1], new_holds[new_count + 2] = id, bytes
  new_count = new_count + 2
end

-- `record`: a table, or false.
local function set_hold(id, record)
  hold_records[id] = record
  if not hold_changed[id] then
    hold_changed[id] = true
    changed_count = changed_count + 1
    changed_holds[changed_count] = id
  end
end

local function pack_line(ref, quantity, returned, counted)
  return text_head(#ref) .. ref .. pack_int(quantity) .. pack_int(returned) .. pack_int(counted)
end

-- `hash` and `lines` as bytes.
local function pack_record(state, deadline, hash, attempt, buyer, resolved, line_count, lines)
  return array_head(R_LINES - 1 + line_count * LINE_WIDTH)
    .. pack_int(state) .. pack_int(deadline) .. hash .. pack_int(attempt)
    .. text_head(#buyer) .. buyer .. pack_int(resolved) .. lines
end

local function pack_hold(record)
  local lines = {}
  for at = R_LINES, #record, LINE_WIDTH do
    lines[#lines + 1] = pack_line(record[at], record[at + 1], record[at + 2], record[at + 3])
  end
  return pack_record(
    record[R_STATE], record[R_DEADLINE], pack_int(record[R_FINGERPRINT]), record[R_ATTEMPT], record[R_BUYER],
    record[R_RESOLVED], #lines, table.concat(lines)
  )
end

local function store_holds(holds)
  local fields, count, gone = new_holds, new_count, {}
  for n = 1, changed_count do
    local id = changed_holds[n]
    local record = hold_records[id]
    if record then
      fields[count + 1] = id
      fields[count + 2] = pack_hold(record)
      count = count + 2
    else
      gone[#gone + 1] = id
    end
  end
  if count > 0 then
    redis.call('HSET', holds, unpack(fields))
  end
  if #gone > 0 then
    redis.call('HDEL', holds, unpack(gone))
  end
end

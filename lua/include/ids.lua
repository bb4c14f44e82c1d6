-- @include due
-- Id records of one-step changes: [kind, fingerprint, available, reserved, sold, version, updatedAt], a day long.
-- One id may be used for several items: the field is `<id>:<location>:<sku>`.

local id_records, id_changed = {}, {}

local function id_field(id, ref)
  return id .. ':' .. ref
end

local function load_id(ids, field)
  local record = id_records[field]
  if record == nil then
    local value = redis.call('HGET', ids, field)
    record = value and cmsgpack.unpack(value) or false
    id_records[field] = record
  end
  return record
end

local function set_id(field, kind, fingerprint, item, now)
  id_records[field] = { kind, fingerprint, item.available, item.reserved, item.sold, item.version, now }
  id_changed[field] = true
  add_due(now + LIMIT.retention_seconds * 1000, 'i:' .. field)
end

local function store_ids(ids)
  local fields = {}
  for field in pairs(id_changed) do
    fields[#fields + 1] = field
    fields[#fields + 1] = cmsgpack.pack(id_records[field])
  end
  if #fields > 0 then
    redis.call('HSET', ids, unpack(fields))
  end
end

-- Answers for an id that was used for this item before; false when the operation has to be decided.
local function answered_before(record, kind, fingerprint)
  if not record then
    return false
  end
  if record[1] ~= kind or record[2] ~= fingerprint then
    add_row(STATUS.id_conflict)
  else
    add_row(STATUS.exists, record[3], record[4], record[5], record[6], record[7])
  end
  return true
end

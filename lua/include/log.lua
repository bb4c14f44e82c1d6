-- The outbox. Events are gathered while a call decides and appended as one entry when it writes (docs/protocol.md).

local event_refs, event_ref_index = {}, {}
local event_columns, event_count = {}, 0

local function event_item(ref)
  if ref == '' then
    return 0
  end
  local index = event_ref_index[ref]
  if not index then
    index = #event_refs + 1
    event_refs[index] = ref
    event_ref_index[ref] = index
  end
  return index
end

local NO_LEVEL = { available = 0, reserved = 0, sold = 0, version = 0 }

-- `level` is a loaded item, or NO_LEVEL for events that concern none.
local function add_event(kind, ref, id, quantity, actor, detail, level, deadline, fingerprint, attempt)
  local at = event_count * 13
  event_count = event_count + 1
  local columns = event_columns
  columns[at + 1] = kind
  columns[at + 2] = event_item(ref)
  columns[at + 3] = id
  columns[at + 4] = quantity
  columns[at + 5] = actor
  columns[at + 6] = detail
  columns[at + 7] = level.available
  columns[at + 8] = level.reserved
  columns[at + 9] = level.sold
  columns[at + 10] = level.version
  columns[at + 11] = deadline
  columns[at + 12] = fingerprint
  columns[at + 13] = attempt
end

-- Writes the entry and the partition's last number; answers that number.
local function append_log(meta, log, epoch, seq, now)
  if event_count == 0 then
    return seq
  end
  local last = seq + event_count
  redis.call('HSET', meta, 'seq', last)
  redis.call(
    'XADD',
    log,
    string.format('%.0f-%.0f', epoch, last),
    'e',
    cmsgpack.pack({ 1, now, epoch, seq + 1, event_refs, event_columns })
  )
  return last
end

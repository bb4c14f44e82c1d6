-- The outbox. Events are gathered while a call decides and appended as one entry when it writes; readers who keep counts
-- are told the new ones in one message (docs/protocol.md).

local event_refs, event_ref_index, event_levels = {}, {}, {}
local event_columns, event_count = {}, 0

local function event_item(ref, level)
  if ref == '' then
    return 0
  end
  local index = event_ref_index[ref]
  if not index then
    index = #event_refs + 1
    event_refs[index] = ref
    event_ref_index[ref] = index
    event_levels[index] = level
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
  columns[at + 2] = event_item(ref, level)
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

-- Tells the counts of all items of the call as they are now, and which events it covers. Also when there are none: a
-- reader who sees every number knows that it has missed nothing.
local function publish_levels(deltas, epoch, seq, last, now)
  local message = { epoch, seq, last, now }
  for index = 1, #event_refs do
    local level, at = event_levels[index], index * 5
    message[at] = event_refs[index]
    message[at + 1] = level.available
    message[at + 2] = level.reserved
    message[at + 3] = level.sold
    message[at + 4] = level.version
  end
  redis.call('SPUBLISH', deltas, cmsgpack.pack(message))
end

-- Writes the entry and the partition's last number; answers that number. Called before anything else is written: a log
-- that is ahead of the partition's number refuses the entry, and then nothing at all may have happened.
local function append_log(meta, log, deltas, epoch, seq, now)
  if event_count == 0 then
    return seq
  end
  local last = seq + event_count
  redis.call(
    'XADD',
    log,
    string.format('%.0f-%.0f', epoch, last),
    'e',
    cmsgpack.pack({ 1, now, epoch, seq + 1, event_refs, event_columns })
  )
  redis.call('HSET', meta, 'seq', last)
  publish_levels(deltas, epoch, seq, last, now)
  return last
end

-- @include pack
-- The outbox. Events are gathered while a call decides and appended as one entry when it writes; readers who keep counts
-- are told the new ones in one message (docs/protocol.md).

local event_refs, event_ref_index, event_levels = {}, {}, {}
local event_bytes, event_count = {}, 0

local function event_item(ref, level)
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

-- The four counts, in one call where they are short: a number and what stands before it are one number then.
local function pack_level(level)
  local available, reserved, sold, version = level.available, level.reserved, level.sold, level.version
  if available < 65536 and reserved < 65536 and sold < 65536 and version < 65536 then
    return pack('>I3I3I3I3', 13434880 + available, 13434880 + reserved, 13434880 + sold, 13434880 + version)
  elseif available < 4294967296 and reserved < 4294967296 and sold < 4294967296 and version < 4294967296 then
    return pack(
      '>I5I5I5I5', 884763262976 + available, 884763262976 + reserved, 884763262976 + sold, 884763262976 + version
    )
  end
  return pack_int(available) .. pack_int(reserved) .. pack_int(sold) .. pack_int(version)
end

-- An event as its columns in MessagePack.
local function add_event_bytes(bytes)
  event_count = event_count + 1
  event_bytes[event_count] = bytes
end

-- `level` is a loaded item, or NO_LEVEL for events that concern none. `hash` is the packed fingerprint.
local function add_packed_event(kind, ref, id, quantity, actor, detail, level, deadline, hash, attempt)
  add_event_bytes(pack_int(kind) .. (ref == '' and '\0' or pack_int(event_item(ref, level)))
    .. text_head(#id) .. id .. pack_int(quantity) .. text_head(#actor) .. actor .. text_head(#detail) .. detail
    .. (level == NO_LEVEL and '\0\0\0\0' or pack_level(level)) .. pack_int(deadline) .. hash .. pack_int(attempt))
end

local function add_event(kind, ref, id, quantity, actor, detail, level, deadline, fingerprint, attempt)
  add_packed_event(kind, ref, id, quantity, actor, detail, level, deadline, pack_int(fingerprint), attempt)
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
    array_head(6) .. '\1' .. pack_int(now) .. pack_int(epoch) .. pack_int(seq + 1) .. cmsgpack.pack(event_refs)
      .. array_head(event_count * 13) .. table.concat(event_bytes)
  )
  redis.call('HSET', meta, 'seq', last)
  publish_levels(deltas, epoch, seq, last, now)
  return last
end

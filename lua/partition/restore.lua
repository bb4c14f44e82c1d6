--- Write persisted state back into a closed partition. Recovery only, under the token it took the partition with; each record
--- replaces what is there.
---
--- Records are JSON of the arrays in docs/protocol.md; a long one comes in two pieces. Kinds: 1 item (an object of the fields of
--- its hash), 2 hold, 3 claim, 4 id record, 5 units of a buyer (a number; 0 removes it), 6 an entry of the due index
--- (`true`), 7 all holds, claims, id records and due entries together (only `false`). `false` removes a hold or claim, and an item
--- with its buyers.
--- @flags allow-oom
--- @key meta fence of the partition
--- @key holds hold records
--- @key claims claim records
--- @key ids answers by id
--- @key due when records must be looked at
--- @items stock buyers
--- @arg recovery id token of partition/take
--- @each kind int what the record is
--- @each id text field of the record, the buyer, or the due entry; empty for an item
--- @each due int when it must be looked at, 0 for never
--- @each head text the record, or its first piece
--- @each tail text its second piece
--- @line item item the item of an item or a buyer
--- @status ok
--- @status epoch_conflict
--- @status invalid_argument
-- @bind keys
-- @include parse
-- @include clock
-- @include reply

-- @bind args

if not recovery then
  return { STATUS.invalid_argument }
end
local fields = redis.call('HMGET', meta_key, 'owner', 'epoch', 'seq', 'recovery')
if (fields[1] and fields[1] ~= '') or fields[4] ~= recovery then
  return { STATUS.epoch_conflict }
end

local ITEM, CLAIM, ID_RECORD, BUYER, DUE, RECORDS = 1, 3, 4, 5, 6, 7
local records = {}
for n = 1, OPS do
  -- @bind each
  local items = {}
  for line = 1, LINES or 0 do
    -- @bind line
    items[line] = item
  end
  local read, value = pcall(cjson.decode, (head or '') .. (tail or ''))
  local needs_item = kind == ITEM or kind == BUYER
  if not (read and kind and kind >= ITEM and kind <= RECORDS and id and due) or needs_item ~= (items[1] ~= nil) then
    return { STATUS.invalid_argument }
  end
  -- What does not fit must not be found out after the first write.
  local fits = type(value) == 'table' and next(value) ~= nil
  if kind == BUYER then
    fits = type(value) == 'number'
  elseif kind == DUE then
    fits = value == true and id ~= '' and due > 0
  elseif kind == RECORDS then
    fits = value == false
  else
    fits = fits or value == false
  end
  if not fits then
    return { STATUS.invalid_argument }
  end
  records[n] = { kind = kind, id = id, due = due, value = value, item = items[1] }
end

local function restore_item(stock, value)
  local flat = {}
  for field, content in pairs(value) do
    flat[#flat + 1] = field
    flat[#flat + 1] = content
  end
  redis.call('DEL', stock)
  redis.call('HSET', stock, unpack(flat))
end

-- Fields of one hash and members of the index are written together: one write a key and call, for the replicas too.
local gathered, gathered_keys = {}, {}

local function gather(key, a, b)
  local list = gathered[key]
  if not list then
    list = {}
    gathered[key] = list
    gathered_keys[#gathered_keys + 1] = key
  end
  list[#list + 1], list[#list + 2] = a, b
end

local function write_gathered(key)
  local list = gathered[key]
  if list and #list > 0 then
    if key == due_key then
      redis.call('ZADD', key, unpack(list))
    else
      redis.call('HSET', key, unpack(list))
    end
    gathered[key] = {}
  end
end

-- With what was gathered before it.
local function remove_key(key)
  gathered[key] = gathered[key] and {}
  redis.call('DEL', key)
end

-- After what was gathered before it.
local function remove_field(key, field)
  write_gathered(key)
  redis.call('HDEL', key, field)
end

for n = 1, OPS do
  local record = records[n]
  if record.kind == RECORDS then
    remove_key(holds_key)
    remove_key(claims_key)
    remove_key(ids_key)
    remove_key(due_key)
  elseif record.kind == ITEM and not record.value then
    remove_key(KEYS[stock_base + record.item])
    remove_key(KEYS[buyers_base + record.item])
  elseif record.kind == ITEM then
    restore_item(KEYS[stock_base + record.item], record.value)
  elseif record.kind == BUYER then
    local buyers = KEYS[buyers_base + record.item]
    if record.value > 0 then
      gather(buyers, record.id, record.value)
    else
      remove_field(buyers, record.id)
    end
  elseif record.kind == DUE then
    gather(due_key, record.due, record.id)
  else
    local key, member = holds_key, record.id
    if record.kind == CLAIM then
      key, member = claims_key, 'c:' .. record.id
    elseif record.kind == ID_RECORD then
      key, member = ids_key, 'i:' .. record.id
    end
    if record.value then
      gather(key, record.id, cmsgpack.pack(record.value))
    else
      remove_field(key, record.id)
    end
    if record.due > 0 then
      gather(due_key, record.due, member)
    end
  end
  add_row(STATUS.ok)
end
for n = 1, #gathered_keys do
  write_gathered(gathered_keys[n])
end
return finish(tonumber(fields[2] or 0), tonumber(fields[3] or 0), now_ms())

--- Create an item or change its settings. (S3, S8)
---
--- Each setting is '' to leave it, '-' to remove it, else its value. Settings that are as they should be change nothing
--- and answer `exists`, unless `force` is 1 (the log then carries what only Postgres keeps).
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @items stock
--- @each item item which item
--- @each buyer_limit text units a buyer may hold and buy
--- @each opens text ms, sale window
--- @each closes text ms, sale window
--- @each low_mark text units at which low_stock is told
--- @each hold_seconds text seconds
--- @each room idopt waiting room; '-' removes it
--- @each force int 1: log the change even if it changes nothing here
--- @each detail text the change as JSON, for the log
--- @each actor text who
--- @status ok available:int reserved:int sold:int version:int updated_at:ms created:int
--- @status exists available:int reserved:int sold:int version:int updated_at:ms created:int
--- @status fenced
--- @status invalid_argument
--- @event configured
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply
-- @include log
-- @include items

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
local now = now_ms()

-- The wanted value of a numeric setting: false to leave it, 0 to remove it, nil when malformed.
local function wanted_number(text, most)
  if text == '' then
    return false
  elseif text == '-' then
    return 0
  end
  local number = to_int(text)
  return number and number >= 1 and number <= most and number or nil
end

local FIELDS = { buyer_limit = 'l', opens = 'o', closes = 'c', low_mark = 'w', hold_seconds = 'h', room = 'm' }

local writes = {}

-- Notes what differs, to be written when everything is decided; answers whether anything does.
local function apply(item, index, wanted)
  local fields, gone = {}, {}
  for name, field in pairs(FIELDS) do
    local value = wanted[name]
    if value ~= false and value ~= item[name] then
      item[name] = value
      if value == 0 or value == '' then
        gone[#gone + 1] = field
      else
        fields[#fields + 1] = field
        fields[#fields + 1] = value
      end
    end
  end
  writes[#writes + 1] = { index = index, fields = fields, gone = gone }
  return #fields + #gone > 0
end

local function write_settings(stock, fields, gone)
  if #fields > 0 then
    redis.call('HSET', stock, unpack(fields))
  end
  if #gone > 0 then
    redis.call('HDEL', stock, unpack(gone))
  end
end

local function new_item(index, stock)
  local item = {
    ref = item_ref(stock),
    available = 0,
    reserved = 0,
    sold = 0,
    version = 0,
    buyer_limit = 0,
    opens = 0,
    closes = 0,
    low_mark = 0,
    hold_seconds = 0,
    room = '',
  }
  loaded_items[index] = item
  return item
end

local function decide(index, wanted, force, detail, actor)
  local stock = KEYS[stock_base + index]
  local item = load_item(index, stock)
  local created = item and 0 or 1
  item = item or new_item(index, stock)
  local changed = apply(item, index, wanted)
  if created == 1 or changed or force == 1 then
    move_units(item, 0, 0, 0)
    add_event(EVENT.configured, item.ref, '', 0, actor, detail, item, 0, 0, 0)
    add_row(STATUS.ok, item.available, item.reserved, item.sold, item.version, now, created)
  else
    local updated = item.changed and now or tonumber(redis.call('HGET', stock, 'u'))
    add_row(STATUS.exists, item.available, item.reserved, item.sold, item.version, updated, created)
  end
end

for n = 1, OPS do
  -- @bind each
  local wanted = item and buyer_limit and opens and closes and low_mark and hold_seconds and {
    buyer_limit = wanted_number(buyer_limit, LIMIT.max_quantity),
    opens = wanted_number(opens, 9007199254740991),
    closes = wanted_number(closes, 9007199254740991),
    low_mark = wanted_number(low_mark, LIMIT.max_stock),
    hold_seconds = wanted_number(hold_seconds, LIMIT.max_hold_seconds),
    room = room == '-' and '' or room ~= '' and room,
  }
  local valid = wanted and room and force and force <= 1 and detail and actor
  for name in pairs(FIELDS) do
    valid = valid and wanted[name] ~= nil
  end
  if valid then
    decide(item, wanted, force, detail, actor)
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
for n = 1, #writes do
  local write = writes[n]
  write_settings(KEYS[stock_base + write.index], write.fields, write.gone)
end
for index = 1, ITEMS do
  store_item(index, KEYS[stock_base + index], now)
end
return finish(epoch, last, now)

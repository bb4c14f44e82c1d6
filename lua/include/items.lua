-- The items of a call: each is read once, changed in memory, and written once at the end.

local loaded_items = {}

local function item_ref(stock)
  return string.match(stock, '}:stock:(.+)$')
end

-- The item behind a declared key, or false when there is none.
local function load_item(index, stock)
  local item = loaded_items[index]
  if item ~= nil then
    return item
  end
  local fields = redis.call('HMGET', stock, 'a', 'r', 's', 'v', 'l', 'o', 'c', 'w', 'h', 'm')
  if fields[1] then
    item = {
      ref = item_ref(stock),
      available = tonumber(fields[1]),
      reserved = tonumber(fields[2]),
      sold = tonumber(fields[3]),
      version = tonumber(fields[4]),
      buyer_limit = tonumber(fields[5] or 0),
      opens = tonumber(fields[6] or 0),
      closes = tonumber(fields[7] or 0),
      low_mark = tonumber(fields[8] or 0),
      hold_seconds = tonumber(fields[9] or 0),
      room = fields[10] or '',
      changed = false,
    }
  else
    item = false
  end
  loaded_items[index] = item
  return item
end

-- Moves units and counts the change; quantities are validated before, so no term can become negative.
local function move_units(item, available, reserved, sold)
  item.available = item.available + available
  item.reserved = item.reserved + reserved
  item.sold = item.sold + sold
  item.version = item.version + 1
  item.changed = true
end

local function store_item(index, stock, now)
  local item = loaded_items[index]
  if item and item.changed then
    redis.call(
      'HSET',
      stock,
      'a',
      item.available,
      'r',
      item.reserved,
      's',
      item.sold,
      'v',
      item.version,
      'u',
      now
    )
  end
end

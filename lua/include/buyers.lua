-- Units a buyer holds and has bought of a limited item. Read once per buyer and item, written once. (S8)

local buyer_units, buyer_changed = {}, {}

local function units_of(index, buyers, buyer)
  local units = buyer_units[index]
  if not units then
    units = {}
    buyer_units[index] = units
  end
  local count = units[buyer]
  if count == nil then
    count = tonumber(redis.call('HGET', buyers, buyer) or 0)
    units[buyer] = count
  end
  return count
end

-- units_of has been asked for this buyer before.
local function add_units(index, buyer, difference)
  local units = buyer_units[index]
  units[buyer] = units[buyer] + difference
  local changed = buyer_changed[index]
  if not changed then
    changed = {}
    buyer_changed[index] = changed
  end
  changed[buyer] = true
end

local function store_buyers(index, buyers)
  local changed = buyer_changed[index]
  if not changed then
    return
  end
  local units = buyer_units[index]
  for buyer in pairs(changed) do
    if units[buyer] > 0 then
      redis.call('HSET', buyers, buyer, units[buyer])
    else
      redis.call('HDEL', buyers, buyer)
    end
  end
end

-- `detail` of held and deducted: 'limited' when the units count towards a limit; then who for, where that is not the actor.
-- With it the log tells the record's buyer exactly.
local function buyer_detail(counted, buyer, actor)
  local detail = counted and 'limited' or ''
  if buyer ~= actor then
    detail = detail .. ' for:' .. buyer
  end
  return detail
end

--- Read the counts and settings of items.
---
--- Reads nothing but the items; answers one row per item of the call, in the order of KEYS.
--- @flags no-writes
--- @key meta fence of the partition
--- @items stock
--- @each item item which item
--- @status ok available:int reserved:int sold:int version:int updated_at:ms buyer_limit:int opens_at:ms closes_at:ms low_stock:int hold_seconds:int room:text
--- @status fenced
--- @status invalid_argument
--- @status sku_not_found
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args

for n = 1, OPS do
  -- @bind each
  if not item then
    add_row(STATUS.invalid_argument)
  else
    local fields = redis.call(
      'HMGET', KEYS[stock_base + item], 'a', 'r', 's', 'v', 'u', 'l', 'o', 'c', 'w', 'h', 'm'
    )
    if not fields[1] then
      add_row(STATUS.sku_not_found)
    else
      add_row(
        STATUS.ok,
        tonumber(fields[1]),
        tonumber(fields[2]),
        tonumber(fields[3]),
        tonumber(fields[4]),
        tonumber(fields[5]),
        tonumber(fields[6] or 0),
        tonumber(fields[7] or 0),
        tonumber(fields[8] or 0),
        tonumber(fields[9] or 0),
        tonumber(fields[10] or 0),
        fields[11] or ''
      )
    end
  end
end

return finish(epoch, seq, now_ms())

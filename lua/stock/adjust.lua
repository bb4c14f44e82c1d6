--- Correct a count, by a difference or to a physical count. (S4)
---
--- `counted` is what lies in the house: available + reserved. Neither form may leave fewer units than are reserved.
--- A count that changes nothing is recorded all the same: that it was counted is worth knowing.
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when id records are forgotten
--- @key ids answers given before
--- @items stock
--- @each id id id of the movement; repeating it answers `exists`
--- @each fingerprint int hash of the content
--- @each item item which item
--- @each is_count int 1: `value` is a physical count; 0: a difference
--- @each value sint units
--- @each reason text why
--- @each actor text who
--- @status ok available:int reserved:int sold:int version:int updated_at:ms
--- @status exists available:int reserved:int sold:int version:int updated_at:ms
--- @status fenced
--- @status invalid_argument
--- @status id_conflict
--- @status sku_not_found
--- @status insufficient_stock available:int reserved:int
--- @status stock_limit available:int
--- @event adjusted
--- @event low_stock
--- @event sold_out
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply
-- @include log
-- @include items
-- @include ids
-- @include marks

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
local now = now_ms()

local function decide(id, fingerprint, index, is_count, value, reason, actor)
  local item = load_item(index, KEYS[stock_base + index])
  if not item then
    add_row(STATUS.sku_not_found)
    return
  end
  local field = id_field(id, item.ref)
  if answered_before(load_id(ids_key, field), EVENT.adjusted, fingerprint) then
    return
  end
  local by = is_count == 1 and value - item.reserved - item.available or value
  if item.available + by < 0 then
    add_row(STATUS.insufficient_stock, item.available, item.reserved)
    return
  end
  if item.available + item.reserved + item.sold + by > LIMIT.max_stock then
    add_row(STATUS.stock_limit, item.available)
    return
  end
  move_units(item, by, 0, 0)
  add_event(EVENT.adjusted, item.ref, id, by, actor, reason, item, 0, fingerprint, 0)
  mark_crossed(item, item.available - by)
  set_id(field, EVENT.adjusted, fingerprint, item, now)
  add_row(STATUS.ok, item.available, item.reserved, item.sold, item.version, now)
end

for n = 1, OPS do
  -- @bind each
  if
    id and fingerprint and item and is_count and value and reason and actor
    and is_count <= 1 and math.abs(value) <= LIMIT.max_stock and (is_count == 0 or value >= 0)
  then
    decide(id, fingerprint, item, is_count, value, reason, actor)
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
for index = 1, ITEMS do
  store_item(index, KEYS[stock_base + index], now)
end
store_ids(ids_key)
store_due(due_key)
return finish(epoch, last, now)

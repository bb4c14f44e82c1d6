--- Bring new units on sale. (S4)
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when id records are forgotten
--- @key ids answers given before
--- @items stock
--- @each id id id of the movement; repeating it answers `exists`
--- @each fingerprint int hash of the content
--- @each item item which item
--- @each quantity int units
--- @each reason text why
--- @each actor text who
--- @status ok available:int reserved:int sold:int version:int updated_at:ms
--- @status exists available:int reserved:int sold:int version:int updated_at:ms
--- @status fenced
--- @status invalid_argument
--- @status id_conflict
--- @status sku_not_found
--- @status stock_limit available:int
--- @event restocked
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply
-- @include log
-- @include items
-- @include ids

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
local now = now_ms()

local function decide(id, fingerprint, index, quantity, reason, actor)
  local item = load_item(index, KEYS[stock_base + index])
  if not item then
    add_row(STATUS.sku_not_found)
    return
  end
  local field = id_field(id, item.ref)
  if answered_before(load_id(ids_key, field), EVENT.restocked, fingerprint) then
    return
  end
  if item.available + item.reserved + item.sold + quantity > LIMIT.max_stock then
    add_row(STATUS.stock_limit, item.available)
    return
  end
  move_units(item, quantity, 0, 0)
  add_event(EVENT.restocked, item.ref, id, quantity, actor, reason, item, 0, fingerprint, 0)
  set_id(field, EVENT.restocked, fingerprint, item, now)
  add_row(STATUS.ok, item.available, item.reserved, item.sold, item.version, now)
end

for n = 1, OPS do
  -- @bind each
  if id and fingerprint and item and quantity and quantity >= 1 and quantity <= LIMIT.max_stock and reason and actor then
    decide(id, fingerprint, item, quantity, reason, actor)
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

--- Sell in one step, without a hold. (S4, S6, S8)
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when id records are forgotten
--- @key ids answers given before
--- @items stock buyers
--- @each id id order; repeating it for the same item answers `exists`
--- @each fingerprint int hash of the content
--- @each item item which item
--- @each quantity int units
--- @each buyer idopt buyer, or empty
--- @each room idopt waiting room the buyer was admitted by, or empty
--- @each actor text who
--- @status ok available:int reserved:int sold:int version:int updated_at:ms
--- @status exists available:int reserved:int sold:int version:int updated_at:ms
--- @status fenced
--- @status invalid_argument
--- @status id_conflict
--- @status sku_not_found
--- @status buyer_required
--- @status admission_required
--- @status not_on_sale
--- @status buyer_limit available:int
--- @status insufficient_stock available:int overdue:int
--- @event deducted
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
-- @include sale

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args
local now = now_ms()

local function decide(op, index)
  local item = load_item(index, KEYS[stock_base + index])
  if not item then
    add_row(STATUS.sku_not_found)
    return
  end
  local field = id_field(op.id, item.ref)
  if answered_before(load_id(ids_key, field), EVENT.deducted, op.fingerprint) then
    return
  end
  local refusal, left = sale_refusal(item, index, op, op.quantity, now)
  if refusal then
    add_row(refusal, left or 0, refusal == STATUS.insufficient_stock and overdue(due_key, now) or 0)
    return
  end
  if item.buyer_limit > 0 then
    add_units(index, op.buyer, op.quantity)
  end
  move_units(item, -op.quantity, 0, op.quantity)
  local detail = buyer_detail(item.buyer_limit > 0, op.buyer, op.actor)
  add_event(EVENT.deducted, item.ref, op.id, op.quantity, op.actor, detail, item, 0, op.fingerprint, 0)
  mark_crossed(item, item.available + op.quantity)
  set_id(field, EVENT.deducted, op.fingerprint, item, now)
  add_row(STATUS.ok, item.available, item.reserved, item.sold, item.version, now)
end

for n = 1, OPS do
  -- @bind each
  if id and fingerprint and item and quantity and quantity >= 1 and quantity <= LIMIT.max_quantity and buyer and room and actor then
    local op = { id = id, fingerprint = fingerprint, quantity = quantity, buyer = buyer, room = room, actor = actor }
    decide(op, item)
  else
    add_row(STATUS.invalid_argument)
  end
end

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
for index = 1, ITEMS do
  store_buyers(index, KEYS[buyers_base + index])
end
for index = 1, ITEMS do
  store_item(index, KEYS[stock_base + index], now)
end
store_ids(ids_key)
store_due(due_key)
return finish(epoch, last, now)

-- @include items
-- @include buyers
-- Whether units of an item may go to a buyer now: the same rules for holding and for selling in one step. (S6, S8)

-- The refusal with the highest precedence, and the units that would still go; nil when they may.
-- op: buyer, room.
local function sale_refusal(item, index, op, quantity, now)
  local limit = item.buyer_limit
  if limit > 0 and op.buyer == '' then
    return STATUS.buyer_required
  end
  if item.room ~= '' and item.room ~= op.room then
    return STATUS.admission_required
  end
  if now < item.opens or (item.closes > 0 and now >= item.closes) then
    return STATUS.not_on_sale
  end
  if limit > 0 then
    local left = limit - units_of(index, KEYS[buyers_base + index], op.buyer)
    if quantity > left then
      return STATUS.buyer_limit, math.max(left, 0)
    end
  end
  if quantity > item.available then
    return STATUS.insufficient_stock, item.available
  end
  return nil
end

-- 1 when something waits to be swept, so that a refusal for want of stock may be worth a second look. Asked once a call.
local overdue_answer

local function overdue(due, now)
  if overdue_answer == nil then
    overdue_answer = redis.call('ZCOUNT', due, '-inf', now) > 0 and 1 or 0
  end
  return overdue_answer
end

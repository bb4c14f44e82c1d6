-- @include holds
-- @include items
-- @include log
-- @include buyers
-- Moving the units of a hold record, all its lines at once.

-- Whether the declared items are those of the record, in its order.
local function lines_match(record, lines)
  if #record ~= R_LINES - 1 + #lines * LINE_WIDTH then
    return false
  end
  for line = 1, #lines do
    local item = load_item(lines[line], KEYS[stock_base + lines[line]])
    if not item or item.ref ~= record[R_LINES + (line - 1) * LINE_WIDTH] then
      return false
    end
  end
  return true
end

-- Frees what the line counts towards the buyer's limit.
local function uncount(record, at, index, quantity)
  if record[at + 3] == 1 then
    units_of(index, KEYS[buyers_base + index], record[R_BUYER])
    add_units(index, record[R_BUYER], -quantity)
  end
end

-- Held units become sold (sold = 1) or go back on sale (sold = 0); one event per line.
local function move_hold(kind, op, record, sold)
  for line = 1, #op.lines do
    local index = op.lines[line]
    local at = R_LINES + (line - 1) * LINE_WIDTH
    local item, quantity = load_item(index, KEYS[stock_base + index]), record[at + 1]
    if sold == 1 then
      move_units(item, 0, -quantity, quantity)
    else
      move_units(item, quantity, -quantity, 0)
      uncount(record, at, index, quantity)
    end
    add_event(
      kind, item.ref, op.id, quantity, op.actor, '', item,
      record[R_DEADLINE], record[R_FINGERPRINT], record[R_ATTEMPT]
    )
  end
end

-- A new state; the record stays for its retention.
local function resolve_hold(id, record, state, now)
  record[R_STATE] = state
  record[R_RESOLVED] = now
  set_hold(id, record)
end

local function store_moves(holds, now)
  for index = 1, ITEMS do
    store_item(index, KEYS[stock_base + index], now)
    store_buyers(index, KEYS[buyers_base + index])
  end
  store_holds(holds)
end

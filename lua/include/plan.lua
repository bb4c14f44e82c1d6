-- @include due
-- @include holds
-- @include items
-- @include log
-- Stands after `@bind args`; `now` is known.
--
-- What most operations of a batch have in common is worked out once: those of one line, of an item that anybody may have, of
-- which more is left than they ask for. Nothing can then be refused or marked. `plan_item` is false for any other item.
local plan_index, plan_quantity, plan_hold = 0, 0, 0
local plan_item, plan_seconds, plan_deadline
local plan_record, plan_line, plan_event, plan_units, plan_until, level_format, level_base

-- Operations that were held in this way, one after the other.
local held = 0

local function end_run()
  if held > 0 then
    add_rows(held, STATUS.ok, plan_deadline, plan_seconds, HELD)
    held = 0
  end
end

local function make_plan(index, quantity, hold)
  end_run()
  plan_index, plan_quantity, plan_hold = index, quantity, hold
  local item = load_item(index, KEYS[stock_base + index])
  plan_item = item and item.buyer_limit == 0 and item.low_mark == 0 and item.room == '' and now >= item.opens
    and (item.closes == 0 or now < item.closes) and item
  if not plan_item then
    return
  end
  -- As long as versions and counts are short, they are packed in one call.
  local most = math.max(item.available + item.reserved + item.sold, item.version + LIMIT.max_ops * LIMIT.max_lines)
  if most < 65536 then
    level_format, level_base = '>I3I3I3I3', 13434880
  elseif most < 4294967296 then
    level_format, level_base = '>I5I5I5I5', 884763262976
  else
    plan_item = false
    return
  end
  plan_seconds = hold
  if hold == 0 then
    plan_seconds = item.hold_seconds > 0 and item.hold_seconds or LIMIT.default_hold_seconds
  end
  plan_deadline = now + plan_seconds * 1000
  plan_until = pack_int(plan_deadline) .. HASH_HEAD
  plan_record = array_head(R_LINES - 1 + LINE_WIDTH) .. pack_int(HELD) .. plan_until
  plan_line = '\0' .. pack_line(item.ref, quantity, 0, 0)
  plan_event, plan_units = false, pack_int(quantity)
end

local function hold_as_planned(id, hash, buyer)
  local item, quantity = plan_item, plan_quantity
  local available, reserved, version = item.available - quantity, item.reserved + quantity, item.version + 1
  item.available, item.reserved, item.version = available, reserved, version
  if not plan_event then
    plan_event = pack_int(EVENT.held) .. pack_int(event_item(item.ref, item))
    item.changed = true
  end
  local id_head, buyer_head = TEXT_HEADS[#id] or text_head(#id), TEXT_HEADS[#buyer] or text_head(#buyer)
  add_hold(id, plan_record .. hash .. '\0' .. buyer_head .. buyer .. plan_line)
  add_event_bytes(
    plan_event .. id_head .. id .. plan_units .. buyer_head .. buyer .. '\160'
      .. pack(level_format, level_base + available, level_base + reserved, level_base + item.sold, level_base + version)
      .. plan_until .. hash .. '\0'
  )
  add_due(plan_deadline, id)
  held = held + 1
end

-- @include log
-- Low stock and sold out are told once, when the count crosses the mark going down. (S8)

local function mark_crossed(item, before)
  if item.low_mark > 0 and before > item.low_mark and item.available <= item.low_mark then
    add_event(EVENT.low_stock, item.ref, '', item.low_mark, '', '', item, 0, 0, 0)
  end
  if before > 0 and item.available == 0 then
    add_event(EVENT.sold_out, item.ref, '', 0, '', '', item, 0, 0, 0)
  end
end

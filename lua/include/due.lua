-- The due index: when something must be looked at. Holds of one call with one deadline share an entry, so that a
-- batch costs one ZADD. Entries are not removed when a hold is confirmed or released: the sweep asks the record.

local due_ids, due_times = {}, {}

local function add_due(time, id)
  local ids = due_ids[time]
  if not ids then
    ids = {}
    due_ids[time] = ids
    due_times[#due_times + 1] = time
  end
  ids[#ids + 1] = id
end

local function store_due(due)
  for n = 1, #due_times do
    local time = due_times[n]
    redis.call('ZADD', due, time, table.concat(due_ids[time], ' '))
  end
end

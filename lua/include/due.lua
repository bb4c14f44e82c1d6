-- The due index: when something must be looked at. Holds of one call with one deadline share an entry, so that a
-- batch costs few ZADDs; an entry stays short enough to be named in an argument. Entries are not removed when a hold
-- is confirmed or released: the sweep asks the record.

local due_entries, due_open = {}, {}

local function add_due(time, id)
  local entry = due_open[time]
  if not entry or entry.size + 1 + #id > LIMIT.detail_bytes then
    entry = { time = time, size = -1, count = 0, ids = {} }
    due_open[time] = entry
    due_entries[#due_entries + 1] = entry
  end
  local count = entry.count + 1
  entry.ids[count] = id
  entry.count, entry.size = count, entry.size + 1 + #id
end

local function store_due(due)
  for n = 1, #due_entries do
    local entry = due_entries[n]
    redis.call('ZADD', due, entry.time, table.concat(entry.ids, ' '))
  end
end

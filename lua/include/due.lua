-- The due index: when something must be looked at. Holds of one call with one deadline share an entry, so that a
-- batch costs few ZADDs; an entry stays short enough to be named in an argument. Entries are not removed when a hold
-- is confirmed or released: the sweep asks the record.

local due_ids, due_sizes, due_times = {}, {}, {}

local function add_due(time, id)
  local entries, size = due_ids[time], due_sizes[time]
  if not entries then
    entries = { {} }
    due_ids[time] = entries
    due_times[#due_times + 1] = time
    size = -1
  end
  if size >= 0 and size + 1 + #id > LIMIT.detail_bytes then
    entries[#entries + 1] = {}
    size = -1
  end
  local entry = entries[#entries]
  entry[#entry + 1] = id
  due_sizes[time] = size + 1 + #id
end

local function store_due(due)
  for n = 1, #due_times do
    local time = due_times[n]
    local entries = due_ids[time]
    for e = 1, #entries do
      redis.call('ZADD', due, time, table.concat(entries[e], ' '))
    end
  end
end

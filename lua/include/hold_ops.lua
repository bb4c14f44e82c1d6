-- @include holds
-- Operations that name a reservation, its attempt, who asks, and its items in the order of the record.
-- Stands after `@bind args`.

local ops = {}

-- Fills `ops` (false where an operation is malformed) and reads their records.
local function read_ops(holds)
  load_holds(holds, ARGS, id_at + 1, id_at + OPS)
  for n = 1, OPS do
    -- @bind each
    local lines, valid = {}, id and attempt and actor and LINES >= 1 and LINES <= LIMIT.max_lines
    for line = 1, LINES do
      -- @bind line
      valid = valid and item
      lines[line] = item
    end
    if valid then
      ops[n] = { id = id, attempt = attempt, actor = actor, lines = lines }
    else
      ops[n] = false
    end
  end
end

-- The record an operation is about: decided under the same attempt.
local function record_of(op)
  local record = hold_of(op.id)
  return record and record[R_ATTEMPT] == op.attempt and record or nil
end

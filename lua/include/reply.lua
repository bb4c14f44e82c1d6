-- The reply: [call_status, epoch, seq, now, rows…]; the header is filled in when the call ends.

local rows = { 0, 0, 0, 0 }

-- Row n (from 1): a status and up to WIDTH - 1 columns.
local function add_row(n, status, ...)
  local at = 4 + (n - 1) * WIDTH
  rows[at + 1] = status
  for column = 2, WIDTH do
    rows[at + column] = select(column - 1, ...) or 0
  end
end

local function finish(epoch, seq, now)
  rows[2], rows[3], rows[4] = epoch, seq, now
  return rows
end

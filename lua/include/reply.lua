-- The reply: [call_status, epoch, seq, now, runs…]; the header is filled in when the call ends. A run is a number of
-- operations and the one row that answers them all: in a batch most rows are the same.

local rows = { 0, 0, 0, 0 }
local run_at, run_status, run_a, run_b, run_c

-- The row of the next operation: a status and up to WIDTH - 1 columns. Spelled out: a vararg loop costs several times as much.
-- Only rows of four columns are compared; those of scripts that answer with more say something else each time.
local function add_row(status, a, b, c, d, e, f, g, h, i, j, k)
  if run_at and status == run_status and a == run_a and b == run_b and c == run_c and WIDTH < 5 then
    rows[run_at] = rows[run_at] + 1
    return
  end
  local at = #rows + 1
  run_at, run_status, run_a, run_b, run_c = at, status, a, b, c
  rows[at], rows[at + 1] = 1, status
  if WIDTH > 1 then
    rows[at + 2] = a or 0
  end
  if WIDTH > 2 then
    rows[at + 3] = b or 0
  end
  if WIDTH > 3 then
    rows[at + 4] = c or 0
  end
  if WIDTH > 4 then
    local more = { d or 0, e or 0, f or 0, g or 0, h or 0, i or 0, j or 0, k or 0 }
    for column = 5, WIDTH do
      rows[at + column] = more[column - 4]
    end
  end
end

-- The same row for so many operations.
local function add_rows(count, status, a, b, c)
  add_row(status, a, b, c)
  rows[run_at] = rows[run_at] + count - 1
end

local function finish(epoch, seq, now)
  rows[2], rows[3], rows[4] = epoch, seq, now
  return rows
end

-- The reply: [call_status, epoch, seq, now, rows…]; the header is filled in when the call ends.

local rows = { 0, 0, 0, 0 }

-- Row n (from 1): a status and up to WIDTH - 1 columns. Spelled out: a vararg loop costs several times as much.
local function add_row(n, status, a, b, c, d, e, f, g, h, i, j, k)
  local at = 4 + (n - 1) * WIDTH
  rows[at + 1] = status
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

local function finish(epoch, seq, now)
  rows[2], rows[3], rows[4] = epoch, seq, now
  return rows
end

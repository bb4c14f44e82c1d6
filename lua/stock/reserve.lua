--- Hold units for reservations until their deadlines. (S3, S5, S6, S8)
---
--- All lines of a reservation that lie in this partition are held together or not at all. A reservation that lies
--- wholly here has `attempt` 0. A part of a claim carries the claim's attempt and is due after `claim_seconds`, or after its
--- hold where that is shorter, when the sweep asks the claim. The same id with the same fingerprint answers `exists`; an older attempt is `superseded`.
--- A part that was lost is held again under its attempt written below 0: the rules of the sale let it go when it was held first, so that
--- now only units count.
--- @key meta fence and last event of the partition
--- @key log outbox
--- @key deltas channel for the counts that change
--- @key due when holds must be looked at
--- @key holds hold records
--- @key claims claim records, so that an id is not used twice
--- @items stock buyers
--- @each id id reservation id
--- @each fingerprint hash hash of the reservation's content
--- @each attempt sint 0, or the attempt of the claim; below 0 to hold a part once more
--- @each buyer idopt buyer, or empty
--- @each hold int seconds, 0 for the items' own default
--- @each room idopt waiting room the buyer was admitted by, or empty
--- @each actor text who causes it, or empty: the buyer
--- @line item item which item
--- @line quantity int units
--- @status ok deadline:ms hold:int state:int
--- @status exists deadline:ms hold:int state:int
--- @status fenced
--- @status superseded
--- @status invalid_argument
--- @status id_conflict
--- @status sku_not_found line:int
--- @status buyer_required line:int
--- @status admission_required line:int
--- @status not_on_sale line:int
--- @status buyer_limit line:int available:int
--- @status insufficient_stock line:int available:int overdue:int
--- @event held
--- @event extended
--- @event low_stock
--- @event sold_out
-- @bind keys
-- @include parse
-- @include fence
-- @include clock
-- @include reply
-- @include items
-- @include marks
-- @include sale
-- @include holds
-- @include due

local epoch, seq = open_epoch(meta_key)
if not epoch then
  return { STATUS.fenced }
end

-- @bind args

local now = now_ms()
load_holds(holds_key, ARGS, id_at + 1, id_at + OPS)

-- An id that a claim of this partition uses cannot be a reservation of its own. Most partitions have no claim most of the time.
local claimed = {}
if redis.call('EXISTS', claims_key) == 1 then
  local claims = redis.call('HMGET', claims_key, unpack(ARGS, id_at + 1, id_at + OPS))
  for n = 1, OPS do
    claimed[ARGS[id_at + n]] = claims[n]
  end
end

-- What the operation under way asks for. One table for all of them, one after the other: a table each was a tenth of the cost.
local op = {}

local function load_line(line)
  local index = op.lines[line]
  return load_item(index, KEYS[stock_base + index]), index, op.lines[line + 1]
end

-- Seconds of the hold: what the call asks for, else the shortest of its items' own.
local function hold_seconds()
  if op.hold > 0 then
    return op.hold
  end
  local shortest = 0
  for line = 1, #op.lines, 2 do
    local item = load_line(line)
    local own = item and item.hold_seconds or 0
    if own > 0 and (shortest == 0 or own < shortest) then
      shortest = own
    end
  end
  return shortest > 0 and shortest or LIMIT.default_hold_seconds
end

-- When a part asks its claim: before anybody can lack its units because nobody has told it that its hold is over.
local function part_seconds(seconds)
  return math.min(seconds, LIMIT.claim_seconds)
end

-- Answers for an id that was used before; false when the operation has to be decided.
local function answered_earlier(record)
  if op.attempt == 0 and claimed[op.id] then
    add_row(STATUS.id_conflict)
    return true
  end
  if not record then
    return false
  end
  if op.attempt > 0 and op.attempt < record[R_ATTEMPT] then
    add_row(STATUS.superseded)
    return true
  end
  if record[R_FINGERPRINT] ~= hash_number(op.fingerprint) or (record[R_ATTEMPT] == 0) ~= (op.attempt == 0) then
    add_row(STATUS.id_conflict)
    return true
  end
  if op.attempt > record[R_ATTEMPT] then
    if record[R_STATE] == RELEASED or record[R_STATE] == EXPIRED then
      return false
    end
    -- A later attempt of the same claim takes the part over, and asks the claim anew in good time. One that was sold stays
    -- sold, and says so: units that a claim has forgotten selling are not held a second time.
    record[R_ATTEMPT] = op.attempt
    if record[R_STATE] == HELD then
      record[R_DEADLINE] = now + part_seconds(hold_seconds()) * 1000
      add_due(record[R_DEADLINE], op.id)
    end
    set_hold(op.id, record)
    add_event(
      EVENT.extended, '', op.id, 0, op.actor, '', NO_LEVEL, record[R_DEADLINE], record[R_FINGERPRINT], op.attempt
    )
  end
  local state = record[R_STATE]
  if state == HELD and op.attempt == 0 and record[R_DEADLINE] <= now then
    state = EXPIRED
  end
  add_row(STATUS.exists, record[R_DEADLINE], hold_seconds(), state)
  return true
end

local function line_refusal(line)
  local item, index, quantity = load_line(line)
  if not item then
    return STATUS.sku_not_found
  end
  if op.again then
    if item.buyer_limit > 0 and op.buyer ~= '' then
      units_of(index, KEYS[buyers_base + index], op.buyer)
    end
    if item.available < quantity then
      return STATUS.insufficient_stock, item.available
    end
    return nil
  end
  return sale_refusal(item, index, op, quantity, now)
end

local function hold_units(deadline)
  local lines, packed, marked, hash = op.lines, '', false, HASH_HEAD .. op.fingerprint
  for line = 1, #lines, 2 do
    local item, index, quantity = load_line(line)
    local counted = 0
    if item.buyer_limit > 0 and op.buyer ~= '' then
      counted = 1
      add_units(index, op.buyer, quantity)
    end
    move_units(item, -quantity, quantity, 0)
    marked = marked or item.available == 0 or item.low_mark > 0
    packed = packed .. pack_line(item.ref, quantity, 0, counted)
    add_packed_event(
      EVENT.held, item.ref, op.id, quantity, op.actor, buyer_detail(counted == 1, op.buyer, op.actor), item,
      deadline, hash, op.attempt
    )
  end
  -- After the lines, so that the events of one reservation stand next to each other.
  for line = 1, marked and #lines or 0, 2 do
    local item, _, quantity = load_line(line)
    mark_crossed(item, item.available + quantity)
  end
  add_hold(op.id, pack_record(HELD, deadline, hash, op.attempt, op.buyer, 0, #lines / 2, packed))
  add_due(deadline, op.id)
end

local function decide()
  if answered_earlier(hold_of(op.id)) then
    return
  end
  -- All lines are looked at; the refusal of the highest precedence answers.
  local refusal, refused_line, left
  for line = 1, #op.lines, 2 do
    local status, remaining = line_refusal(line)
    if status and (not refusal or status < refusal) then
      refusal, refused_line, left = status, (line + 1) / 2, remaining
    end
  end
  if refusal then
    add_row(refusal, refused_line, left or 0, refusal == STATUS.insufficient_stock and overdue(due_key, now) or 0)
    return
  end
  local seconds = hold_seconds()
  local deadline = now + (op.attempt == 0 and seconds or part_seconds(seconds)) * 1000
  hold_units(deadline)
  add_row(STATUS.ok, deadline, seconds, HELD)
end

-- @include plan

for n = 1, OPS do
  -- @bind each
  local valid = (id and fingerprint and attempt and buyer and hold and room and actor) ~= nil
    and hold <= LIMIT.max_hold_seconds and LINES >= 1 and LINES <= LIMIT.max_lines
  local lines, seen = nil, LINES > 1 and {}
  for line = 1, LINES do
    -- @bind line
    if not item or not quantity or quantity < 1 or quantity > LIMIT.max_quantity or (seen and seen[item]) then
      valid = false
    elseif seen then
      lines = lines or {}
      lines[line * 2 - 1], lines[line * 2] = item, quantity
      seen[item] = true
    elseif valid then
      if item ~= plan_index or quantity ~= plan_quantity or hold ~= plan_hold then
        make_plan(item, quantity, hold)
      end
      if plan_item and attempt == 0 and quantity < plan_item.available and not hold_records[id] and not claimed[id]
        and (actor == '' or actor == buyer) then
        hold_as_planned(id, fingerprint, buyer)
        valid = nil
      else
        lines = { item, quantity }
      end
    end
  end
  if valid then
    op.id, op.fingerprint, op.attempt, op.buyer, op.hold, op.room = id, fingerprint, attempt, buyer, hold, room
    op.again = attempt < 0
    if op.again then
      op.attempt = -attempt
    end
    op.actor, op.lines = actor == '' and buyer or actor, lines
    end_run()
    decide()
  elseif valid == false then
    end_run()
    add_row(STATUS.invalid_argument)
  end
end
end_run()

local last = append_log(meta_key, log_key, deltas_key, epoch, seq, now)
for index = 1, ITEMS do
  store_item(index, KEYS[stock_base + index], now)
  store_buyers(index, KEYS[buyers_base + index])
end
store_holds(holds_key)
store_due(due_key)
return finish(epoch, last, now)

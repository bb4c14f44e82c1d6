-- MessagePack put together by hand, for what is written once an operation: cmsgpack.pack walks every table twice, which was a
-- third of a reservation's time in Redis. Heads and numbers here, so that a record is one concatenation. Numbers are whole.

local pack = struct.pack
local SMALL, TEXT_HEADS = {}, {}

local function pack_small(number)
  local packed = string.char(number)
  SMALL[number] = packed
  return packed
end

local function pack_int(number)
  if number < 0 then
    return pack('>Bi8', 211, number)
  elseif number < 128 then
    return SMALL[number] or pack_small(number)
  elseif number < 65536 then
    return pack('>BI2', 205, number)
  elseif number < 4294967296 then
    return pack('>BI4', 206, number)
  end
  return pack('>BI8', 207, number)
end

-- What stands before a text of so many bytes.
local function text_head(size)
  local head = TEXT_HEADS[size]
  if not head then
    if size < 32 then
      head = string.char(160 + size)
    else
      head = pack('>BI4', 219, size)
    end
    TEXT_HEADS[size] = head
  end
  return head
end

local function array_head(size)
  if size < 16 then
    return string.char(144 + size)
  end
  return pack('>BI4', 221, size)
end

-- What stands before the six bytes of a hash: together a number of 64 bits.
local HASH_HEAD = '\207\0\0'

-- The number that the six bytes of a hash are.
local function hash_number(hash)
  local high, low = struct.unpack('>I2I4', hash)
  return high * 4294967296 + low
end

-- Arguments are strings. Each is parsed once, here, and nothing else in a script calls tonumber on one:
-- tonumber alone would take '0x10', '1e308', ' 5 ' and 'nan'. All answer nil for what they do not accept.

local find, tonumber = string.find, tonumber

local function to_int(text)
  if text and #text <= 16 and find(text, '^%d+$') then
    local number = tonumber(text)
    if number <= 9007199254740991 then
      return number
    end
  end
  return nil
end

local function to_sint(text)
  if text and string.byte(text) == 45 then
    local number = to_int(string.sub(text, 2))
    return number and -number
  end
  return to_int(text)
end

-- 48 bits as six bytes: whatever they are, they are a number. It stays text, to be compared and put into records as it is.
local function to_hash(text)
  if text and #text == 6 then
    return text
  end
  return nil
end

local function to_id(text)
  if text and #text <= 128 and find(text, '^[%w._~-]+$') then
    return text
  end
  return nil
end

local function to_idopt(text)
  if text == '' then
    return text
  end
  return to_id(text)
end

-- No NUL: Postgres cannot keep one in a text.
local function to_text(text)
  if text and #text <= LIMIT.detail_bytes and not find(text, '%z') then
    return text
  end
  return nil
end

-- Any bytes: what no other script takes apart.
local function to_record(text)
  if text and #text <= LIMIT.record_bytes then
    return text
  end
  return nil
end

local function to_item(text, items)
  local index = to_int(text)
  if index and index >= 1 and index <= items then
    return index
  end
  return nil
end

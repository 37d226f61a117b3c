"""What Redis does in one step: reserve, settle, add again, keep in touch. Lua, with the keys' layout.

- `open` (hash): request id to `key jobs tokens pages audio_seconds money_micros expires_ms replica`: what is reserved.
- `sums` (hash): `{key}|{measure}` to the sum over `open`; both change together, and only in these scripts.
- `minute` (hash, one a service and one a key with limits): `{second}|{r or t}|{replica}` to requests or tokens.
- `state` (hash): `born` is when the counters began to count (ms), `seen` when a replica last was in touch;
  `replica:{id}` is until when that replica counts as alive; `jobs:{partition}` is for which birth job-state has added
  its open jobs, `restoring` until when it is at work on that.
- `spent` (the ledger's rows, written by metering): `tokens pages audio_ms money_micros` of a partition and month.

Counters that were born less than a life ago, or are being restored, are unknown: not all may be in them again.
"""

OPEN_FUNCTIONS = """
local MEASURES = {'jobs', 'tokens', 'pages', 'audio_seconds', 'money_micros'}
local function parts_of(entry)
  local parts = {}
  for part in string.gmatch(entry, '%S+') do parts[#parts + 1] = part end
  return parts
end
local function sum_up(sums, key, values, sign)
  for i, measure in ipairs(MEASURES) do
    local by = tonumber(values[i]) * sign
    if by ~= 0 then
      redis.call('HINCRBY', sums, '|' .. measure, string.format('%.0f', by))
      if key ~= '-' then redis.call('HINCRBY', sums, key .. '|' .. measure, string.format('%.0f', by)) end
    end
  end
end
local function take_out(open, sums, id)
  local held = redis.call('HGET', open, id)
  if not held then return nil end
  local p = parts_of(held)
  redis.call('HDEL', open, id)
  sum_up(sums, p[1], {p[2], p[3], p[4], p[5], p[6]}, -1)
  return p
end
local function put_in(open, sums, id, entry)
  take_out(open, sums, id)
  local p = parts_of(entry)
  redis.call('HSET', open, id, entry)
  sum_up(sums, p[1], {p[2], p[3], p[4], p[5], p[6]}, 1)
end
"""

# KEYS: open, sums, state, minute of the service, minute of the key.
# ARGV: request id, entry, life ms, silence ms, key, replica, tokens, hashes of the month's spending without
# their partitions: {prefix} {suffix} {markers' prefix} {partitions} (4 arguments), then for each limit:
# '1' if it is the key's, window, measure, most, asked.
# Returns {0 unknown | 1 granted | 2 refused | 3 held already, number of the limit, retry after s, now s, used, …};
# what cannot be known is -1.
RESERVE = (
    OPEN_FUNCTIONS
    + """
local t = redis.call('TIME')
local now_s = tonumber(t[1])
local now = now_s * 1000 + math.floor(t[2] / 1000)
local born, seen, restoring = unpack(redis.call('HMGET', KEYS[3], 'born', 'seen', 'restoring'))
local known = born and now - born >= tonumber(ARGV[3]) and now - seen <= tonumber(ARGV[4])
known = known and now >= tonumber(restoring or 0)
local again = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
local SPENT = {tokens = 1, pages = 2, audio_seconds = 3, money_micros = 4}
local spent = {}
local function month(mine)
  if spent[mine] then return spent[mine] end
  local sum = {0, 0, 0, 0}
  for p = 0, tonumber(ARGV[11]) - 1 do
    local marker = redis.call('GET', ARGV[10] .. p)
    if not marker or string.sub(marker, -3) == ' -1' then sum = false break end
    local row = redis.call('HGET', ARGV[8] .. p .. ARGV[9], mine)
    if row then for i, part in ipairs(parts_of(row)) do sum[i] = sum[i] + part end end
  end
  if sum then sum[3] = math.ceil(sum[3] / 1000) end
  spent[mine] = sum and {sum} or {false}
  return spent[mine]
end
local function minute(hash, kind, most, asked)
  local all, by = redis.call('HGETALL', hash), {}
  local used = 0
  for i = 1, #all, 2 do
    local second, what = string.match(all[i], '^(%d+)|(%a)|')
    if tonumber(second) < now_s - 60 then
      redis.call('HDEL', hash, all[i])
    elseif what == kind then
      used = used + all[i + 1]
      by[#by + 1] = {tonumber(second), tonumber(all[i + 1])}
    end
  end
  table.sort(by, function(a, b) return a[1] < b[1] end)
  local left, retry = used, 61
  for _, pair in ipairs(by) do
    left = left - pair[2]
    if left + asked <= most then retry = pair[1] + 61 - now_s break end
  end
  return used, retry
end
local answer = {1, 0, 0, now_s}
for i = 12, #ARGV, 5 do
  local number = (i - 12) / 5 + 1
  local key = ARGV[i] == '1' and ARGV[5] or ''
  local most, asked = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local used, retry = 0, 1
  if ARGV[i + 1] == 'minute' then
    used, retry = minute(KEYS[ARGV[i] == '1' and 5 or 4], string.sub(ARGV[i + 2], 1, 1), most, asked)
  else
    used = tonumber(redis.call('HGET', KEYS[2], key .. '|' .. ARGV[i + 2]) or 0)
    if ARGV[i + 1] == 'month' then
      local sum = month(key)[1]
      retry = -1
      if sum then used = used + sum[SPENT[ARGV[i + 2]]] else used = -1 end
    end
  end
  answer[#answer + 1] = used
  if used < 0 then
    known = false
  elseif answer[1] == 1 and used + asked > most then
    answer[1], answer[2], answer[3] = 2, number, retry
  end
end
if again then answer[1] = 3 return answer end
if not known then answer[1] = 0 return answer end
if answer[1] == 1 then
  put_in(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
  for n = 4, 5 do
    if n == 4 or ARGV[5] ~= '' then
      redis.call('HINCRBY', KEYS[n], now_s .. '|r|' .. ARGV[6], 1)
      if ARGV[7] ~= '0' then redis.call('HINCRBY', KEYS[n], now_s .. '|t|' .. ARGV[6], ARGV[7]) end
      redis.call('EXPIRE', KEYS[n], 120)
    end
  end
end
return answer
"""
)

# KEYS: open, sums, minute of the service, minute of the key.
# ARGV: request id, second of the reservation, tokens by which the minute changes, replica, key, entry ('': removed),
# '1' to take the request back from the minute.
SETTLE = (
    OPEN_FUNCTIONS
    + """
if ARGV[6] == '' then
  take_out(KEYS[1], KEYS[2], ARGV[1])
elseif redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  put_in(KEYS[1], KEYS[2], ARGV[1], ARGV[6])
end
for n = 3, 4 do
  if n == 3 or ARGV[5] ~= '' then
    if redis.call('HEXISTS', KEYS[n], ARGV[2] .. '|r|' .. ARGV[4]) == 1 then
      if ARGV[3] ~= '0' then redis.call('HINCRBY', KEYS[n], ARGV[2] .. '|t|' .. ARGV[4], ARGV[3]) end
      if ARGV[7] == '1' then redis.call('HINCRBY', KEYS[n], ARGV[2] .. '|r|' .. ARGV[4], -1) end
    end
  end
end
return 1
"""
)

# KEYS: open, sums. ARGV: request id, replica. Takes out what this replica has reserved, and no other.
TAKE_BACK = (
    OPEN_FUNCTIONS
    + """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held or parts_of(held)[8] ~= ARGV[2] then return 0 end
take_out(KEYS[1], KEYS[2], ARGV[1])
return 1
"""
)

# KEYS: state. ARGV: replica, life ms, silence ms, '1' when it leaves.
# Returns {born, replicas alive, now s}.
SYNC = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local born, seen = unpack(redis.call('HMGET', KEYS[1], 'born', 'seen'))
if not born or now - seen > tonumber(ARGV[3]) then
  born = now
  redis.call('HSET', KEYS[1], 'born', born)
end
redis.call('HSET', KEYS[1], 'seen', now)
if ARGV[4] == '1' then
  redis.call('HDEL', KEYS[1], 'replica:' .. ARGV[1])
else
  redis.call('HSET', KEYS[1], 'replica:' .. ARGV[1], now + ARGV[2])
end
local alive, all = 0, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 8) == 'replica:' then
    if tonumber(all[i + 1]) <= now then redis.call('HDEL', KEYS[1], all[i]) else alive = alive + 1 end
  end
end
return {tostring(born), alive, tonumber(t[1])}
"""

# KEYS: open, sums, minute of the service, minute of the key.
# ARGV: request id, entry, second of the reservation ('': the minutes are told otherwise), tokens, replica, key.
# Adds what is not there.
ADD_OPEN = (
    OPEN_FUNCTIONS
    + """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
put_in(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
for n = 3, 4 do
  if ARGV[3] ~= '' and (n == 3 or ARGV[6] ~= '') then
    redis.call('HINCRBY', KEYS[n], ARGV[3] .. '|r|' .. ARGV[5], 1)
    if ARGV[4] ~= '0' then redis.call('HINCRBY', KEYS[n], ARGV[3] .. '|t|' .. ARGV[5], ARGV[4]) end
    redis.call('EXPIRE', KEYS[n], 120)
  end
end
return 1
"""
)

-- KEYS     1 a hash: the value of each process is its expiry in unix ms, a space,
--          and its settings as JSON
-- ARGV     1 the process, or empty to only read; 2 its settings; 3 the ttl in ms
-- Returns  the settings of each process whose entry has not expired
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = {}

if ARGV[1] ~= '' then
  local ttl = tonumber(ARGV[3])
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ttl) .. ' ' .. ARGV[2])
  -- The key expires with its last entry.
  if redis.call('PTTL', KEYS[1]) < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end
end

local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local space = string.find(entries[i + 1], ' ', 1, true)
  if tonumber(string.sub(entries[i + 1], 1, space - 1)) > now then
    all[#all + 1] = string.sub(entries[i + 1], space + 1)
  else
    redis.call('HDEL', KEYS[1], entries[i])
  end
end
return all

-- KEYS     for each ask its scope: a sorted set, owners by the end of their slot
--          in unix ms
-- ARGV     1 the ttl in ms; for each ask owner, cap
-- Returns  for each ask 1 if a slot was granted, else 0
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl = tonumber(ARGV[1])
local granted = {}

local function take(scope, owner, cap)
  redis.call('ZREMRANGEBYSCORE', scope, '-inf', string.format('%.0f', now))
  if redis.call('ZCARD', scope) >= cap and not redis.call('ZSCORE', scope, owner) then
    return 0
  end
  redis.call('ZADD', scope, string.format('%.0f', now + ttl), owner)
  -- The key expires with the last slot.
  if redis.call('PTTL', scope) < ttl then redis.call('PEXPIRE', scope, ttl) end
  return 1
end

for i, scope in ipairs(KEYS) do
  granted[i] = take(scope, ARGV[2 * i], tonumber(ARGV[2 * i + 1]))
end
return granted

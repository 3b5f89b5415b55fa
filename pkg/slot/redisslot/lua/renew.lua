-- KEYS     for each ask its scope, as in take.lua
-- ARGV     as in take.lua; the cap is ignored
-- Returns  an empty list
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl = tonumber(ARGV[1])

for i, scope in ipairs(KEYS) do
  redis.call('ZADD', scope, string.format('%.0f', now + ttl), ARGV[2 * i])
  if redis.call('PTTL', scope) < ttl then redis.call('PEXPIRE', scope, ttl) end
end
return {}

-- KEYS     scopes, as in take.lua
-- Returns  how many slots of each scope are taken
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local taken = {}
for i, scope in ipairs(KEYS) do taken[i] = redis.call('ZCOUNT', scope, '(' .. now, '+inf') end
return taken

-- ARGV     a hold, the reason
-- Returns  1 if the reason was recorded, else 0
local r, h = load(KEYS[3]), hold(5)
if not holds(r, h) then return 0 end
redis.call('HSET', r.key, 'w', ARGV[15])
return 1

-- ARGV     a hold
-- Returns  1, or 0 where the hold is lost
local r, h = load(KEYS[3]), hold(5)
if lost(r, h) then return 0 end
putback(r, h)
-- Counted from the hold, not from the record, so that a repeated call counts once.
redis.call('HSET', r.key, 's', 'i', 't', now, 'a', math.max(r.attempts, h.attempts + 1), 'w', '')
return 1

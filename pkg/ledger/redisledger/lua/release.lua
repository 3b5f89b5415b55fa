-- ARGV     a hold, 1 if the script may have executed else 0
-- Returns  1 if it was released
local r, h = load(KEYS[3]), hold(5)
if lost(r, h) then return 0 end
putback(r, h)
local attempts = r.attempts
if ARGV[15] == '0' then
  attempts = h.attempts - (h.invoking and 1 or 0)
end
-- The fence stays: a renewal on its way does not take the run again.
redis.call('HSET', r.key, 's', 'q', 't', now, 'a', attempts)
return 1

-- ARGV     a hold, 1 if the script may have executed else 0
-- Returns  1 if it was released, 0 where the hold is lost
local r, h = load(KEYS[3]), hold(5)
if lost(r, h) then return 0 end
putback(r, h)
local attempts = r.attempts
if ARGV[15] == '0' then
  attempts = h.attempts - (h.invoking and 1 or 0)
end
-- The fence stays in the record, so that a renewal which arrives later finds its
-- hold lost.
redis.call('HSET', r.key, 's', 'q', 't', now, 'a', attempts)
return 1

-- ARGV     for each record a hold
-- Returns  for each record 1, or 0 where the hold is lost
local kept = {}
for i = 3, #KEYS do
  local r, h = load(KEYS[i]), hold(5 + (i - 3) * 10)
  if lost(r, h) then
    kept[i - 2] = 0
  else
    putback(r, h)
    -- Counted from the hold, not the record: repeated, it is the same attempt.
    redis.call('HSET', r.key, 's', 'i', 't', now, 'a', math.max(r.attempts, h.attempts + 1), 'w', '')
    kept[i - 2] = 1
  end
end
return kept

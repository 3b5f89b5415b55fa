-- ARGV     for each record a hold, status, result
-- Returns  for each record 1, or 0 where the hold is lost
local function finish(key, at)
  local r, h = load(key), hold(at)
  if r.state == 'd' and r.owner == h.owner and r.fence == h.fence then
    return 1 -- a repeated call: nothing changes
  end
  if lost(r, h) then return 0 end
  putback(r, h)
  redis.call('HSET', key, 's', 'd' .. ARGV[at + 10], 't', now, 'r', ARGV[at + 11], 'w', '')
  redis.call('PEXPIRE', key, KEEP)
  close(ARGV[at], ARGV[at + 1])
  redis.call('HINCRBY', FINISHED, ARGV[at + 10], 1)
  return 1
end

local kept = {}
for i = 3, #KEYS do
  kept[i - 2] = finish(KEYS[i], 5 + (i - 3) * 12)
end
return kept

-- ARGV     for each record an entry
-- Returns  for each record its state before
local states = {}
for i = 3, #KEYS do
  local s = redis.call('HGET', KEYS[i], 's')
  if not s then
    first(KEYS[i], 5 + (i - 3) * 6, 's', 'q', 't', now)
  end
  states[i - 2] = string.sub(s or '', 1, 1)
end
return states

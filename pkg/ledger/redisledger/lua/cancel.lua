-- ARGV     an entry
-- Returns  the run's state before
local key = KEYS[3]
local state = string.sub(redis.call('HGET', key, 's') or '', 1, 1)
if state == 'd' or state == 'p' then return state end
if state == '' then
  redis.call('HSET', key, 't', now, 'x', '1', 'T', ARGV[6], 'S', ARGV[7], 'I', ARGV[8],
    'A', ARGV[9], 'H', ARGV[10])
  redis.call('PEXPIRE', key, REMEMBER)
else
  redis.call('HSET', key, 'x', '1')
end
return state

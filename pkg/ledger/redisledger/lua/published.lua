-- ARGV     for each record the run's key
-- Returns  nothing
for i = 3, #KEYS do
  local kept = redis.call('HMGET', KEYS[i], 's', 'a')
  local s = kept[1] or ''
  if string.sub(s, 1, 1) ~= 'p' then
    -- Still open: the record of its Finish was lost, and a new record was made.
    if string.sub(s, 1, 1) ~= 'd' and close(ARGV[i + 2], redis.call('HGET', KEYS[i], 'T')) then
      redis.call('HINCRBY', FINISHED, '', 1)
    end
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], 's', 'p' .. string.sub(s, 2), 't', time[1], 'a', kept[2] or 0)
    redis.call('PEXPIRE', KEYS[i], REMEMBER)
  end
end

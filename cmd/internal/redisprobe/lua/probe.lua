-- Calls each command that the fleet's scripts call.
--
-- KEYS     a string, a hash, a sorted set and a list; none is left. Being several
--          keys, they lie in different slots of a cluster, which refuses the script
-- Returns  nothing
local text, hash, set, list = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
redis.call('TIME')
redis.call('SET', text, '1', 'PX', 60000)
redis.call('GET', text)
redis.call('MGET', text)
redis.call('PERSIST', text)
redis.call('PEXPIRE', text, 60000)
redis.call('PTTL', text)
redis.call('HSET', hash, 'f', '1')
redis.call('HGET', hash, 'f')
redis.call('HMGET', hash, 'f')
redis.call('HGETALL', hash)
redis.call('HINCRBY', hash, 'f', 1)
redis.call('HDEL', hash, 'f')
redis.call('ZADD', set, 1, 'm')
redis.call('ZCARD', set)
redis.call('ZCOUNT', set, 1, 1)
redis.call('ZSCORE', set, 'm')
redis.call('ZRANGE', set, 0, 0)
redis.call('ZREMRANGEBYSCORE', set, 0, 0)
redis.call('ZREM', set, 'm')
redis.call('LPUSH', list, 'v')
redis.call('LTRIM', list, 0, 0)
redis.call('LRANGE', list, 0, 0)
redis.call('DEL', text, list)

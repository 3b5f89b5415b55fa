-- The third part of the script: summaries of finished runs, entered once for each
-- tenant after the last call.

local summaries = {}

local function summarize(tenant, summary)
  if summary ~= '' then add(summaries, tenant, summary) end
end

local function enterRecent()
  for tenant, new in pairs(summaries) do
    local key = KEYS[4] .. ':' .. tenant
    local n = redis.call('LPUSH', key, unpack(new))
    if n == #new then redis.call('HSET', KEYS[4], tenant, '') end
    if n > RECENT + RECENT / 4 then redis.call('LTRIM', key, 0, RECENT - 1) end
    redis.call('PEXPIRE', key, RECENTFOR)
  end
end

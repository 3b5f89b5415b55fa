-- The third part of the script: summaries of finished runs, entered once for each
-- tenant, and once for all tenants, after the last call.

local summaries, latest = {}, { all = {}, unsuccessful = {} }

local function summarize(tenant, status, summary)
  if summary == '' then return end
  add(summaries, tenant, summary)
  local named = tenant .. '\n' .. summary
  table.insert(latest.all, named)
  if status ~= 'succeeded' then table.insert(latest.unsuccessful, named) end
end

-- Puts new ones before those in the list, which may get a quarter longer than max.
local function prepend(key, new, max)
  local n = redis.call('LPUSH', key, unpack(new))
  if n > max + max / 4 then redis.call('LTRIM', key, 0, max - 1) end
  return n
end

local function enterRecent()
  for tenant, new in pairs(summaries) do
    local key = KEYS[4] .. ':' .. tenant
    if prepend(key, new, RECENT) == #new then redis.call('HSET', KEYS[4], tenant, '') end
    redis.call('PEXPIRE', key, RECENTFOR)
  end
  for which, new in pairs(latest) do
    if #new > 0 then prepend(KEYS[5] .. ':' .. which, new, LATEST) end
  end
end

-- The second part of the script: the books. What the calls open and close is
-- collected here, and entered once for each tenant after the last call.

local opened, closed, odd, finished = {}, {}, {}, {}

local function add(list, tenant, ...)
  list[tenant] = list[tenant] or {}
  for _, v in ipairs({ ... }) do table.insert(list[tenant], v) end
end

local function open(tenant, member) add(opened, tenant, whole(ms), member) end

local function finish(tenant, member, status)
  add(closed, tenant, member)
  finished[status] = (finished[status] or 0) + 1
end

-- Closes a run whose Finish was lost: it counts only if it is still open.
local function finishOdd(tenant, member) add(odd, tenant, member) end

-- Changes the backlog of a tenant. One without open runs has no field.
local function backlog(tenant, n)
  if n ~= 0 and redis.call('HINCRBY', KEYS[3], tenant, n) <= 0 then
    redis.call('HDEL', KEYS[3], tenant)
  end
end

local function enterBooks()
  local n = {}
  for tenant, runs in pairs(opened) do
    n[tenant] = redis.call('ZADD', KEYS[1], 'NX', unpack(runs))
  end
  for tenant, runs in pairs(closed) do
    n[tenant] = (n[tenant] or 0) - redis.call('ZREM', KEYS[1], unpack(runs))
  end
  for tenant, runs in pairs(odd) do
    local still = redis.call('ZREM', KEYS[1], unpack(runs))
    n[tenant] = (n[tenant] or 0) - still
    if still > 0 then finished[''] = (finished[''] or 0) + still end
  end
  for tenant, change in pairs(n) do backlog(tenant, change) end
  for status, count in pairs(finished) do redis.call('HINCRBY', KEYS[2], status, count) end
end

-- The first part of every script.
--
-- KEYS     1 the open runs, a sorted set: key of the run, scored by the time of
--            its acceptance in unix ms
--          2 the finished runs, a hash: their count by status
--          3… the records of the runs that the call is about
--          The key of the open runs with :tenants after it is a hash: how many
--          open runs each tenant has
-- ARGV     1 Keep, 2 Remember, 3 PutBack, 4 the ttl of claims: all in ms
--          5… the arguments of each record, as the script lists them. An entry is
--          key, tenant, source, id, action, script;
--          a hold is an entry, owner, fence, attempts, 1 if invoking else 0
--
-- A record is a hash:
--   s  the state (q c i d p for queued, claimed, invoking, done, published) and,
--      right after it, the status of the result; absent in a cancellation's mark
--   t  when the state was entered, in unix seconds
--   o  f  u  the last claim: owner, fence, end in unix ms
--   a  n  attempts, claims
--   b  the state before the last claim was granted
--   w  x  the reason given to Wait; 1 if cancelled
--   r  the result, while the run is done
--   T S I A H  tenant, source, id, action, script
-- A published run keeps s, t and a.

local OPEN, FINISHED = KEYS[1], KEYS[2]
local BACKLOGS = OPEN .. ':tenants'
local KEEP, REMEMBER, PUTBACK, TTL = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local ms = math.floor(us / 1000)

-- Formats a number with all its digits; Lua's own tostring makes it 1.7e+15.
local function whole(n) return string.format('%.0f', n) end

local now = string.format('%.3f', us / 1000000)

local function load(key)
  local v = redis.call('HMGET', key, 's', 'o', 'f', 'u', 'a', 'n', 'b', 'x')
  return {
    key = key,
    state = string.sub(v[1] or '', 1, 1),
    owner = v[2] or '', fence = tonumber(v[3] or 0), till = tonumber(v[4] or 0),
    attempts = tonumber(v[5] or 0), claims = tonumber(v[6] or 0),
    before = v[7] or '', cancelled = v[8] or '0',
  }
end

local function hold(at)
  return {
    at = at, owner = ARGV[at + 6], fence = tonumber(ARGV[at + 7]),
    attempts = tonumber(ARGV[at + 8]), invoking = ARGV[at + 9] == '1',
  }
end

local function settled(r) return r.state == 'd' or r.state == 'p' end

local function held(r) return r.state == 'c' or r.state == 'i' end

local function holds(r, h) return held(r) and r.owner == h.owner and r.fence == h.fence end

-- Tells whether a hold is lost: see "Claims and fences" in package ledger.
local function lost(r, h) return settled(r) or (h.fence <= r.fence and not holds(r, h)) end

-- Writes a new record, with the further fields and values, and counts the run as
-- open.
local function first(key, at, ...)
  redis.call('HSET', key, 'T', ARGV[at + 1], 'S', ARGV[at + 2], 'I', ARGV[at + 3],
    'A', ARGV[at + 4], 'H', ARGV[at + 5], ...)
  redis.call('PEXPIRE', key, KEEP)
  if redis.call('ZADD', OPEN, 'NX', whole(ms), ARGV[at]) == 1 then
    redis.call('HINCRBY', BACKLOGS, ARGV[at + 1], 1)
  end
end

-- Removes a run from the open ones; returns whether it was there. A tenant without
-- open runs has no field in BACKLOGS.
local function close(member, tenant)
  if redis.call('ZREM', OPEN, member) == 0 then return false end
  if tenant and redis.call('HINCRBY', BACKLOGS, tenant, -1) <= 0 then
    redis.call('HDEL', BACKLOGS, tenant)
  end
  return true
end

-- Makes h the record's claim. h must not be lost. If h is not the record's claim
-- already, Redis has lost its grant.
local function putback(r, h)
  if holds(r, h) then return end
  local before = r.state
  if before == '' then first(r.key, h.at) end
  r.state = h.invoking and 'i' or 'c'
  r.owner, r.fence = h.owner, h.fence
  r.attempts, r.claims = math.max(r.attempts, h.attempts), math.max(r.claims, 1)
  redis.call('HSET', r.key, 's', r.state, 't', now, 'o', r.owner, 'f', whole(r.fence), 'u', whole(ms + PUTBACK),
    'a', r.attempts, 'n', r.claims, 'b', before)
end

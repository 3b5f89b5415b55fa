-- Stands before each of the scripts.
--
-- KEYS     1 the open runs, a sorted set: the run's key by the ms of its acceptance
--          2 how many finished, a hash: the count by status
--          3… the records of the runs that the call is about
--          Beside the open runs, under their key and :tenants, stands a hash:
--          how many of them each tenant has
-- ARGV     1 Keep, 2 Remember, 3 PutBack, 4 the ttl of claims: all in ms
--          5… for each record as many as the script says. An entry stands as
--          key, tenant, source, id, action, script;
--          a hold as an entry, owner, fence, attempts, 1 if invoking else 0
--
-- A record is a hash:
--   s  the state (q c i d p for queued, claimed, invoking, done, published) and,
--      right after it, the status of the result; absent: a cancellation's mark
--   t  since when, in unix seconds
--   o  f  u  the last claim: owner, fence, end in unix ms
--   a  n  attempts, claims
--   b  the state that the claim was granted in
--   w  x  what it waits for; 1 if cancelled
--   r  the result, while it is done
--   T S I A H  tenant, source, id, action, script
-- Of a published run s and t stay.

local OPEN, FINISHED = KEYS[1], KEYS[2]
local BACKLOGS = OPEN .. ':tenants'
local KEEP, REMEMBER, PUTBACK, TTL = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local ms = math.floor(us / 1000)

-- Digits, whoever turns the number into text: by itself Lua makes it 1.7e+15.
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

-- The one place that says which hold is right: see package ledger.
local function lost(r, h) return settled(r) or (h.fence <= r.fence and not holds(r, h)) end

-- Writes the record of a run that is seen for the first time, and counts it;
-- more fields and values may follow.
local function first(key, at, ...)
  redis.call('HSET', key, 'T', ARGV[at + 1], 'S', ARGV[at + 2], 'I', ARGV[at + 3],
    'A', ARGV[at + 4], 'H', ARGV[at + 5], ...)
  redis.call('PEXPIRE', key, KEEP)
  if redis.call('ZADD', OPEN, 'NX', whole(ms), ARGV[at]) == 1 then
    redis.call('HINCRBY', BACKLOGS, ARGV[at + 1], 1)
  end
end

-- Takes a run off the open ones; tells whether it was there. A tenant without
-- any costs nothing.
local function close(member, tenant)
  if redis.call('ZREM', OPEN, member) == 0 then return false end
  if tenant and redis.call('HINCRBY', BACKLOGS, tenant, -1) <= 0 then
    redis.call('HDEL', BACKLOGS, tenant)
  end
  return true
end

-- Makes h, which is not lost, the record's claim where it is not: the grant was
-- forgotten.
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

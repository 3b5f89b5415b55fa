-- The first part of the script.
--
-- KEYS     1 the open runs, a sorted set: the keys of runs, scored by the time of
--            their acceptance in unix ms
--          2 the finished runs, a hash: their count by status
--          3 the open runs of each tenant, a hash: their count by tenant
--          4 the tenants with recent runs, fields of a hash; the key with : and a tenant after
--            it is the list of that tenant's summaries, the newest first
--          5 the newest summaries of all tenants: with :all after it a list of them, with
--            :unsuccessful of those whose run did not succeed, each after its tenant
--            and a line feed
--          6… the record of each call's run
-- ARGV     1 Keep, 2 Remember, 3 PutBack, 4 the ttl of claims: all in ms
--          5 how many summaries of a tenant are kept, 6 for how long in ms
--          7 how many of all tenants
--          8… for each call its name, and the arguments that calls.lua lists
-- Returns  the answer to each call, as calls.lua lists them
--
-- A record is a string of lines. The client escapes line feeds in what it sends.
--   1     the state (q c i d p for queued, claimed, invoking, done, published; none
--         in a cancellation's mark) and, right after it, the status of the result
--   2     when the state was entered, in unix seconds
--   3     attempts
--   4–6   the last claim: owner, fence, end in unix ms
--   7     claims
--   8     the state before the last claim was granted
--   9     1 if cancelled
--   10    the reason given to Wait
--   11–15 tenant, source, id, action, script: together the tail
--   then  the result, while the run is done
-- A published run keeps lines 1 to 3 only.

local KEEP, REMEMBER, PUTBACK, TTL = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local RECENT, RECENTFOR, LATEST = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local FIRST = 6 -- of KEYS, a record

local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local ms = math.floor(us / 1000)
local now = string.format('%.3f', us / 1000000)

-- Formats a number with all its digits; Lua's own tostring makes it 1.7e+15.
local function whole(n) return string.format('%.0f', n) end

local LINE = '([^\n]*)\n'
local RECORD = '^(%l?)' .. string.rep(LINE, 10) .. '([^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*)\n()'

local REST = string.rep('\n', 13) -- of a record that keeps three lines

local function read(key, text)
  if text and string.sub(text, 1, 1) == 'p' then text = text .. REST end
  local state, status, since, attempts, owner, fence, till, claims, before, cancelled, waiting, tail, rest =
    string.match(text or '', RECORD)
  return {
    key = key, text = text, rest = rest,
    state = state or '', status = status or '', since = since or '',
    attempts = tonumber(attempts) or 0,
    owner = owner or '', fence = tonumber(fence) or 0, till = tonumber(till) or 0,
    claims = tonumber(claims) or 0, before = before or '',
    cancelled = cancelled or '', waiting = waiting or '', tail = tail or '\n\n\n\n',
  }
end

-- The result of a record.
local function result(r) return r.result or (r.rest and string.sub(r.text, r.rest)) or '' end

local function write(r)
  local head = r.state .. r.status .. '\n' .. r.since .. '\n' .. whole(r.attempts)
  if r.state == 'p' then
    redis.call('SET', r.key, head, 'PX', REMEMBER)
    return
  end
  redis.call('SET', r.key, table.concat({
    head,
    r.owner, r.fence > 0 and whole(r.fence) or '', r.till > 0 and whole(r.till) or '',
    r.claims > 0 and whole(r.claims) or '', r.before, r.cancelled, r.waiting, r.tail, result(r),
  }, '\n'), 'PX', r.state == '' and REMEMBER or KEEP)
end

local function enter(r, state) r.state, r.since, r.changed = state, now, true end
